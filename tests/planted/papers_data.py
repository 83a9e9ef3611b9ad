"""Defects of the crops at a box and of the readers of CUB-200-2011 and MS-COCO."""

from __future__ import annotations

from planted.defect import of

_crop = of("data/crop.py", "tests/data/test_crop.py")
_boxed_cache = of("data/cache.py", "tests/data/test_crop.py")
_cub = of("data/cub.py", "tests/data/test_cub.py")
_coco = of("data/coco.py", "tests/data/test_coco.py")
_missing = of("data/missing.py", "tests/data/test_cub.py")
_size = of("data/images.py", "tests/data/test_cub.py")

_SHARE = "test_the_box_is_whole_and_at_least_three_quarters_of_what_is_cut_out"
_SPLITS = "test_splits_follow_the_pickles_sorted_with_captions_class_and_box"
_ORDER = "test_pickles_come_before_class_lists_and_these_before_the_published_numbers"
_FAULTS = "test_each_planted_fault_is_found_and_no_usable_file_is_blamed"

DEFECTS = [
    _crop(
        "side = max(width, height) / BOX_SHARE",
        "side = max(width, height) / BOX_SHARE**2",
        "the box is at least .75 of what is cut out",
        _SHARE,
    ),
    _crop(
        "min(across, max(along, width))",
        "min(across, along)",
        "the paper's crop keeps the whole box",
        _SHARE,
    ),
    _crop(
        "x = min(max(left + width / 2 - across / 2, 0.0), size[0] - across)",
        "x = min(max(left + width / 2 - across / 2, 0.0), float(size[0]))",
        "the paper's crop is moved inside",
        "test_what_is_cut_out_is_a_square_wherever_the_box_fits_into_one",
    ),
    _crop(
        "BOX_REACH = 0.75",
        "BOX_REACH = 0.5 / 0.75",
        "the authors' half-side is int(.75 max(w, h))",
        "test_the_authors_crop_is_that_of_their_code",
    ),
    _crop(
        "x, y = int(left + width / 2), int(top + height / 2)",
        "x, y = int(left + height / 2), int(top + width / 2)",
        "the authors' crop lies round the box's centre",
        "test_the_authors_crop_is_that_of_their_code",
    ),
    _crop(
        '{"box": "crop", "box_authors": "squeeze"}',
        '{"box": "crop", "box_authors": "crop"}',
        "the authors squeeze a photograph without a box",
        "test_without_a_box_the_papers_way_crops_and_the_authors_squeezes",
    ),
    _crop(
        "inside[0] * inside[1] >= width * height / 2 > 0",
        "inside[0] * inside[1] > 0",
        "a box of another copy is told",
        "test_a_box_of_another_copy_is_told_and_one_that_sticks_out_is_not",
    ),
    _boxed_cache(
        'framed = "" if box is None else f" {box}"',
        'framed = ""',
        "a box that changed rebuilds the cache",
        "test_a_box_that_changed_rebuilds_the_cache_and_only_where_it_is_used",
    ),
    _boxed_cache(
        "read_image(images[place], 4 * size_px if box is None else None)",
        "read_image(images[place], 4 * size_px)",
        "a box is measured in whole pixels",
        "test_a_large_photograph_is_not_halved_under_its_box",
    ),
    _boxed_cache(
        "fit = used_fit((example.box for example in examples), fit)",
        "fit = fit",
        "a cache without boxes is the crop's",
        "test_a_cache_without_boxes_is_the_crops",
    ),
    _cub(
        'split in ("all", its)',
        'split in ("all", "train", its)',
        "no bird is in both splits",
        _SPLITS,
    ),
    _cub(
        "yield number, (left, top, width, height)",
        "yield number, (left, top, left + width, top + height)",
        "a box is left, top, width and height",
        _SPLITS,
    ),
    _cub(
        "boxes = {name: rows[number] for number, name in numbers.items() if number in rows}",
        "boxes = dict(zip(sorted(numbers.values()), rows.values()))",
        "a box is found by the photograph's number",
        _SPLITS,
    ),
    _cub(
        '"test" if int(number) in TEST_CLASSES else "train"',
        '"train" if int(number) in TEST_CLASSES else "test"',
        "the published test classes are tested on",
        _ORDER,
    ),
    _cub(
        "_NAME.fullmatch(name)), None)",
        "name), None)",
        "no photograph outside the folder is read",
        "test_a_pickle_of_anything_but_names_is_refused_and_never_run",
    ),
    _cub(
        "        if name in splits:\n",
        "        if not name:\n",
        "a photograph of both lists is told",
        _FAULTS,
    ),
    _cub(
        "usable += not problems and image not in broken",
        "usable += not problems",
        "a damaged photograph is not usable",
        "test_a_damaged_photograph_is_not_counted_as_usable",
    ),
    _missing(
        "if image.parent in begun:",
        "if True:",
        "a class without photographs is named once",
        "test_what_is_missing_is_counted_and_a_class_without_photographs_named_once",
    ),
    _missing(
        "if count < len(images):",
        "if count < 0:",
        "a missing photograph stops the reading",
        "test_a_missing_photograph_stops_the_reading_or_is_left_out_on_demand",
    ),
    _size(
        "in (5, 6, 7, 8)",
        "in (5, 7)",
        "a box is compared with the upright photograph",
        "test_a_turned_photograph_is_measured_upright",
    ),
    _coco(
        'HALVES = {"train": "train", "test": "val"}',
        'HALVES = {"train": "val", "test": "train"}',
        "the validation half is the test split",
        "test_the_training_half_is_train_and_the_validation_half_test",
    ),
    _coco(
        'names[row["image_id"]]].append(words)',
        'content["images"][0]["file_name"]].append(words)',
        "a caption is its own photograph's",
        "test_each_photograph_has_its_own_captions_and_neither_class_nor_box",
    ),
    _coco(
        "(_whole(root, each), each)",
        "each",
        "a year of which the photographs are there comes first",
        "test_a_year_of_which_the_photographs_are_there_comes_before_a_newer_one",
    ),
    _coco(
        "(_whole(root, each), each)",
        "(_whole(root, each), -each)",
        "the newest year is read",
        "test_the_newest_year_is_read_unless_one_is_named",
    ),
    _coco(
        'any(sign in name for sign in "/\\\\\\0")',
        'any(sign in name for sign in "\\0")',
        "no photograph outside the folder is read",
        "test_a_row_that_cannot_be_used_is_named_by_its_place",
    ),
    _coco(
        'if row["id"] in names:',
        "if False:",
        "an id that stands twice is told",
        "test_a_row_that_cannot_be_used_is_named_by_its_place",
    ),
]
