"""Defects of boxes and key points: their geometry, their readers, their way through a batch."""

from __future__ import annotations

from planted.defect import of

_geometry = of("data/geometry.py", "tests/data/test_geometry.py")
_conditions = of("data/conditions.py", "tests/data/test_conditions.py")
_batches = of("data/batches.py", "tests/data/test_conditions.py")
_parts = of("data/cub_parts.py", "tests/data/test_cub.py")
_cub = of("data/cub.py", "tests/data/test_cub.py")
_readers = of("data/readers.py", "tests/data/test_cub.py")
_shapes = of("data/shapes.py", "tests/data/test_toy.py")
_toy = of("data/toy.py", "tests/data/test_toy.py")
_split = of("systems/parts.py", "tests/training/test_parts.py")
_loop = of("training/loop.py", "tests/training/test_loop.py")
_prepare = of("training/prepare.py", "tests/training/test_prepare.py")
_inputs = of("training/inputs.py", "tests/training/test_prepare.py")

_SHOWN = "test_what_is_told_lies_where_the_pixels_show_it"
_ORDER = "test_crop_then_flip_is_flip_then_the_mirrored_crop"
_OWN = "test_key_points_are_each_photographs_own_in_the_order_of_the_parts"
_LINES = "test_each_line_of_the_parts_that_cannot_be_used_is_found"

DEFECTS = [
    _geometry(
        "start, end = np.clip(start, 0.0, 1.0), np.clip(end, 0.0, 1.0)",
        "end = np.clip(end, 0.0, 1.0)",
        "a box that the crop cuts is clipped",
        "test_a_box_becomes_shares_of_the_window_and_is_clipped",
    ),
    _geometry(
        "(end > start).all(axis=-1, keepdims=True)",
        "(end > start).any(axis=-1, keepdims=True)",
        "a box of which nothing is left is none",
        "test_a_box_of_which_nothing_is_left_is_none",
    ),
    _geometry(
        "& (places <= 1.0)",
        "& (places <= 2.0)",
        "a point outside is not seen",
        "test_a_point_outside_or_hidden_is_zeros_and_the_border_is_inside",
    ),
    _geometry(
        "((points[..., 2] > 0.0) & inside)",
        "inside",
        "a hidden point stays hidden",
        "test_a_point_outside_or_hidden_is_zeros_and_the_border_is_inside",
    ),
    _geometry(
        "1.0 - boxes[..., 0] - boxes[..., 2]",
        "1.0 - boxes[..., 0]",
        "a mirrored box begins where it ended",
        _ORDER,
    ),
    _geometry(
        "mirrored = points[..., list(partners), :]",
        "mirrored = points.copy()",
        "left and right parts are exchanged by a flip",
        "test_left_and_right_parts_are_exchanged_by_a_flip_and_others_mirrored",
    ),
    _geometry(
        "1.0 - mirrored[..., 0], 0.0)",
        "1.0 - 1 / 64 - mirrored[..., 0], 0.0)",
        "a flip brings column i to P - 1 - i",
        "test_a_flip_brings_column_i_to_the_last_but_i",
    ),
    _geometry(
        r"(?<![a-z])(left|right)(?![a-z])",
        r"(left|right)",
        "parts are exchanged by whole words",
        "test_partners_are_told_by_the_words_left_and_right_alone",
    ),
    _geometry(
        "return (left, top, right - left, bottom - top)",
        "return (left, top, right, bottom)",
        "a window is as large as the part",
        "test_a_window_is_where_a_part_begins_and_how_large_it_is",
    ),
    _geometry(
        "if 2 * outside <= len(seen):",
        "if outside == 0:",
        "a point that sticks out is no fault",
        "test_key_points_of_another_copy_are_told_and_one_that_sticks_out_is_not",
    ),
    _conditions(
        "region(upright_size(example.image), fit, example.box)",
        'region(upright_size(example.image), "crop", example.box)',
        "boxes and points follow the fit",
        _SHOWN,
    ),
    _conditions(
        "np.where(crops.flipped[:, None], flipped_boxes(boxes), boxes)",
        "boxes",
        "a box follows the flip",
        _SHOWN,
    ),
    _conditions(
        "np.where(crops.flipped[:, None, None], mirrored, points)",
        "points",
        "points follow the flip",
        _SHOWN,
    ),
    _conditions(
        "boxes_within(self.boxes[chosen], crops.windows)",
        "self.boxes[chosen]",
        "a box follows the random crop",
        _SHOWN,
    ),
    _conditions(
        "boxes = boxes_within(boxes, windows)",
        "boxes = boxes / windows[:, [2, 3, 2, 3]]",
        "a box outside the square is none",
        "test_a_bird_outside_the_square_has_no_box",
    ),
    _conditions(
        "    if missing:\n",
        "    if not examples:\n",
        "a data set without boxes is named",
        "test_a_data_set_without_is_named_with_what_it_lacks",
    ),
    _conditions(
        "    if len(named) > 1:\n",
        "    if not named:\n",
        "key points are of the same parts",
        "test_key_points_of_different_parts_are_refused",
    ),
    _batches(
        "offsets[:, ::-1], sides",
        "offsets, sides",
        "what begins at (top, left) goes right by left",
        _SHOWN,
    ),
    _batches(
        "sides], axis=1) / self.pixels.shape[1]",
        "sides], axis=1) / self.image_px",
        "crops are shares of the stored square",
        _SHOWN,
    ),
    _batches(
        "self._conditions(chosen, offsets, flipped),",
        "self._conditions(chosen, *self._crops(len(chosen), random)),",
        "conditions are of the crop that the pixels are of",
        _SHOWN,
    ),
    _batches(
        "pixels = self._cropped(chosen, offsets, flipped)",
        "pixels = self._cropped(chosen, offsets, flipped)\n"
        "        random.random() if self.conditions is not None else None",
        "asking for conditions changes nothing else",
        "test_asking_for_conditions_changes_nothing_else",
    ),
    _batches(
        "len(self.conditions) != count",
        "len(self.conditions) < count",
        "conditions are of the same examples",
        "test_conditions_of_other_examples_are_refused",
    ),
    _parts(
        "found[words[0]][known[words[1]]] = point",
        "found[words[0]][int(words[1]) - 1 if int(words[1]) < 3 else 1] = point",
        "a part is found by its number in parts.txt",
        _OWN,
    ),
    _parts(
        '(x, y, True) if words[4] == "1" else _HIDDEN',
        "(x, y, True)",
        "a part that is not visible has no place",
        _OWN,
    ),
    _parts(
        "    if not math.isfinite(x + y):\n        return None\n",
        "",
        "a place is a number",
        _LINES,
    ),
    _parts(
        "name and number not in parts and name not in parts.values()",
        "name",
        "a part has one number and one name",
        _LINES,
    ),
    _parts(
        "    if not path.is_file():\n        return {}\n",
        "    if not path.is_file():\n        problems.append(Fault(path, 'is missing'))\n"
        "        return {}\n",
        "a set without parts has no fault",
        "test_without_the_parts_there_are_no_key_points_and_no_fault",
    ),
    _cub(
        "points = {name: places[number] for number, name in numbers.items() if number in places}",
        "points = dict(zip(sorted(numbers.values()), places.values()))",
        "key points are found by the photograph's number",
        _OWN,
    ),
    _cub(
        'birds = _gather(root, "points" in conditions)',
        "birds = _gather(root, True)",
        "key points are read by who asks for them",
        "test_who_asks_for_no_key_points_does_not_read_them",
    ),
    _readers(
        'require(conditions, examples, f"{name} in {root}")',
        "require((), examples, name)",
        "a data set without key points is refused where it is read",
        "test_without_the_parts_there_are_no_key_points_and_no_fault",
    ),
    _readers(
        "[name for name in names if name != _ASKED]",
        "names",
        "conditions are no option of a reader",
        "test_who_asks_for_no_key_points_does_not_read_them",
    ),
    _shapes(
        '"triangle": (1.0, 0.8, 1 / 1.8)',
        '"triangle": (1.0, 0.8, 1.0)',
        "a shape's sides lie where it ends",
        "test_a_shapes_box_and_points_lie_where_it_ends",
    ),
    _toy(
        "box = (right + left * radius, down + top * radius, width * radius, height * radius)",
        "box = (right - radius, down - radius, 2 * radius, 2 * radius)",
        "a toy shape's box is its own",
        "test_boxes_and_points_are_those_of_the_picture",
    ),
    _toy(
        "return _placed(root, examples) if conditions else examples",
        "return _placed(root, examples)",
        "toy pictures are cropped at no box unasked",
        "test_who_asks_for_no_box_gets_none",
    ),
    _split(
        "{name: parts[place] for name, parts in told.items()}",
        "{name: parts[0] for name, parts in told.items()}",
        "every part has its own examples' conditions",
        "test_every_part_has_its_own_examples_conditions",
    ),
    _loop(
        "{name: each.to(stage.device) for name, each in drawn.conditions.items()},",
        "",
        "a step is given the conditions of its batch",
        "test_a_step_is_given_the_conditions_of_its_batch",
    ),
    _prepare(
        "        conditions=told,\n",
        "",
        "a stage's batches tell what is asked for",
        "test_a_stages_batches_tell_what_is_asked_for_over_the_same_cache",
    ),
    _inputs(
        "    if with_points:\n",
        "    if not with_points:\n",
        "key points that changed are told to a run that reads them alone",
        "test_key_points_count_among_what_a_run_read_where_it_reads_them",
    ),
]
