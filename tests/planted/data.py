"""Defects of the readers, the pixel cache, the batches and the toy set."""

from __future__ import annotations

from planted.defect import of

_batches = of("data/batches.py", "tests/data/test_batches.py")
_cache = of("data/cache.py", "tests/data/test_cache.py")
_decoding = of("data/decoding.py", "tests/data/test_images.py")
_crop = of("data/crop.py", "tests/data/test_images.py")
_oxford102 = of("data/oxford102.py", "tests/data/test_readers.py")
_folder = of("data/folder.py", "tests/data/test_folder.py")
_metadata = of("data/metadata.py", "tests/data/test_folder.py")
_text = of("plain_text.py", "tests/data/test_folder.py")
_toy = of("data/toy.py", "tests/data/test_toy.py")
_judge = of("data/toy_judge.py", "tests/data/test_toy.py")

_WRONG = "test_the_wrong_partner_is_never_of_the_same_class"
_CROPPED = "test_larger_images_are_cropped_inside_and_reach_every_place"
_SHIFTED = "test_images_of_the_models_size_are_shifted_with_a_mirrored_border"
_MIRRORED = "test_half_of_the_images_are_mirrored_left_to_right_only"
_OF_SEED = "test_a_batch_is_a_function_of_seed_epoch_and_index_alone"

DEFECTS = [
    _batches(
        "np.where(place >= self._group_starts[group], sizes, 0)",
        "0",
        "a wrong caption is of another class",
        _WRONG,
    ),
    _batches(
        "np.where(place >= self._group_starts[group], sizes, 0)",
        "np.where(place > self._group_starts[group], sizes, 0)",
        "a class's first example is none of its own wrong partners",
        _WRONG,
    ),
    _batches(
        "numbers = {name: number for number, name in enumerate(named)} if len(named) > 1 else {}",
        "numbers = {name: number for number, name in enumerate(named)}",
        "a single class is no class",
        "test_without_two_classes_the_partner_is_any_other_example",
    ),
    _batches(
        "if not self._describes(int(rows[place]), int(example)):",
        "if True:",
        "a shared caption is never the wrong one",
        "test_a_caption_that_is_shared_is_never_the_wrong_one",
    ),
    _batches(
        "return own, self.embeddings[torch.from_numpy(self._wrong_caption(chosen, random))]",
        "return own, own",
        "the wrong caption is not the own one",
        _WRONG,
    ),
    _batches(
        "picture.copy_(picture.flip(1))",
        "picture.copy_(picture.flip(0))",
        "images are mirrored left to right",
        _MIRRORED,
    ),
    _batches(
        "return offsets, flipped & self.flip",
        "return offsets, flipped",
        "flips can be turned off",
        _CROPPED,
    ),
    _batches(
        "2 * (stored - 1) - places",
        "2 * stored - 1 - places",
        "the border's pixel is not doubled",
        _SHIFTED,
    ),
    _batches(
        "random.integers(low, high + 1",
        "random.integers(low, high",
        "crops reach the last place",
        _CROPPED,
    ),
    _batches(
        "torch.from_numpy(pixels).permute(0, 3, 1, 2),  #",
        "torch.from_numpy(pixels).flip(3).permute(0, 3, 1, 2),  #",
        "red, green and blue keep their order",
        "test_channels_keep_their_order_and_lie_last_in_memory",
    ),
    _batches(
        "spawn_key=(stream, *place)",
        "spawn_key=(stream, place[0])",
        "the batches of an epoch draw apart",
        "test_the_batches_of_an_epoch_draw_apart",
    ),
    _batches(
        "if self._order[0] != epoch:",
        "if self._order[0] < 0:",
        "every epoch has its own order",
        _OF_SEED,
    ),
    _batches(
        "np.random.SeedSequence(self.seed, ",
        "np.random.SeedSequence(0, ",
        "the order is the seed's",
        _OF_SEED,
    ),
    _batches(
        "return len(self.pixels) // self.batch_size",
        "return -(-len(self.pixels) // self.batch_size)",
        "every batch is whole",
        "test_no_example_is_seen_twice_an_epoch_and_only_a_partial_batch_is_left_out",
    ),
    _cache(
        "{found.st_size} {found.st_mtime_ns}",
        "{found.st_size}",
        "a file that changed is read again",
        "test_a_new_time_alone_rebuilds_it",
    ),
    of("files.py", "tests/data/test_cache.py")(
        "        _in_use.discard(part.name)\n        _remove(part)",
        "        _in_use.discard(part.name)",
        "an interrupted build leaves nothing",
        "test_an_interrupted_build_leaves_nothing",
    ),
    _cache(
        '    if recorded != {"format": FORMAT, "fingerprint": fingerprint}:\n        return None\n',
        "",
        "the cache is of the files as they are now",
        "test_it_is_rebuilt_when_a_file_changes",
    ),
    _decoding(
        "rgb if turn is None else rgb.transpose(turn)",
        "rgb",
        "photographs stand upright",
        "test_exif_orientation_is_applied",
    ),
    _decoding(
        '"RGBA", image.size, "white"',
        '"RGBA", image.size, "black"',
        "transparency lies over white",
        "test_transparency_becomes_white",
    ),
    _crop(
        "(height - side) / 2",
        "0",
        "tall photographs are cropped about their centre",
        "test_a_tall_image_is_cropped_about_its_centre_too",
    ),
    _decoding(
        "levels >> 8 if deep else levels",
        "levels",
        "sixteen bits are scaled",
        "test_sixteen_bits_are_scaled_and_not_clipped",
    ),
    _oxford102(
        "return sorted(examples, key=lambda example: example.image.name)",
        "return examples",
        "examples lie in the order of their images",
        "test_the_splits_follow_the_class_lists_sorted_by_image",
    ),
    _oxford102(
        '("train", "test") if split == "all" else (split,)',
        '("train", "test")',
        "no class is in both splits",
        "test_the_splits_follow_the_class_lists_sorted_by_image",
    ),
    _folder(
        'f"{split_seed}:{entry.file_name}"',
        'f"{entry.file_name}"',
        "the split is the seed's",
        "test_a_split_by_seed_stays_when_files_are_added",
    ),
    _metadata(
        'name.startswith(("/", "../"))',
        'name.startswith("/")',
        "no file outside the folder is read",
        "test_a_path_that_leaves_the_folder_is_refused",
    ),
    _text(
        '"utf-8-sig",',
        '"utf-8",',
        "a byte-order mark is no part of a caption",
        "test_text_files_beside_the_images",
    ),
    _toy(
        'if (entry["colour"], entry["shape"]) in apart else',
        'if entry["colour"] == "red" else',
        "pairs are held out, not colours",
        "test_held_out_pairs_are_absent_from_the_training_split",
    ),
    _toy(
        'random = _random(seed, "picture", number)',
        'random = _random(0, "picture", number)',
        "a toy picture is the seed's",
        "test_a_picture_is_a_function_of_seed_and_number",
    ),
    _judge(
        "centre_y - drop * size",
        "centre_y",
        "a triangle's centre of mass lies below its middle",
        "test_the_judge_is_right_on_every_drawn_picture",
    ),
]
