"""Defects of what benchmarks/pictures.py measures with."""

from __future__ import annotations

from planted.defect import Defect

_TESTS = "tests/evaluation/test_pictures_benchmark.py"
_WAVE = "test_a_wave_is_found_with_its_period_direction_and_power"
_LINE = "test_precision_and_recall_of_points_on_a_line"
_SOME = "test_a_few_pictures_are_some_of_the_many"


def _of(file: str, old: str, new: str, claim: str, *names: str) -> Defect:
    return Defect(f"benchmarks/{file}.py", old, new, claim, tuple(f"{_TESTS}::{n}" for n in names))


DEFECTS = [
    _of("spectrum", "ratio = mine / theirs.clamp_min(1e-9)", "ratio = theirs / mine",
        "a peak is of the pictures over the photographs", _WAVE),
    _of("spectrum", "math.atan2(down, across)", "math.atan2(across, down)",
        "0 degrees is a pattern from left to right", _WAVE),
    _of("spectrum", "rfft2((windows - mean) * window)", "rfft2(windows - mean)",
        "borders cast no cross", _WAVE),
    _of("spectrum", ".abs().double().square()", ".abs().double()", "power, not amplitude",
        "test_twice_the_deviation_is_four_times_the_power_in_every_ring"),
    _of("spectrum", "counted = theirs >= noise", "counted = theirs >= 0",
        "where the photographs have next to nothing does not count",
        "test_what_photographs_have_next_to_nothing_of_does_not_count"),
    _of("judging", "(apart <= _radius(theirs, neighbours)[None, :])",
        "(apart <= _radius(mine, neighbours)[:, None])",
        "precision is of the reference's neighbourhoods", _LINE),
    _of("judging", "NEIGHBOURS = 3", "NEIGHBOURS = 2", "the third neighbour", _LINE),
    _of("judging", "apart.fill_diagonal_(torch.inf)", "apart.fill_diagonal_(0)",
        "a picture is no neighbour of itself", _LINE),
    _of("photographs", "left, top = (image.width - side) // 2, (image.height - side) // 2",
        "left, top = 0, 0", "the square is the photograph's middle",
        "test_a_photograph_becomes_the_square_of_its_middle"),
    _of("photographs", "resize((size_px, size_px), LANCZOS)",
        "resize((size_px, size_px), BICUBIC)", "photographs are resized by Lanczos",
        "test_a_photograph_becomes_the_square_of_its_middle"),
    _of("drawing", '"pictures": places,', '"pictures": list(range(len(places))),',
        "the seed is the place among all", _SOME),
    _of("drawing", "firsts.setdefault(group, caption)", "firsts[group] = caption",
        "a class is drawn by its first caption", _SOME),
    _of("drawing", "pixels.dtype != np.uint8 or pixels.shape != expected",
        "pixels.dtype != np.uint8", "as many pictures as captions",
        "test_pictures_drawn_elsewhere_must_be_those_asked_for"),
    _of("drawing", "truncation=how.truncation,", "", "truncation is passed on",
        "test_a_model_is_measured_with_its_protocol"),
    _of("pictures", "lanczos = resized(measured.shrunk(), size_px)", "lanczos = pixels",
        "Lanczos stands beside refine", "test_a_model_is_measured_with_its_protocol"),
    _of("pictures", "panel.require_captions()", "pass",
        "missing judges are told before anything is drawn",
        "test_judges_that_are_not_there_are_asked_for_first"),
    _of("sheet", "file.tell() <= limit_bytes", "True", "a sheet has at most a megabyte",
        "test_a_sheet_holds_the_pictures_in_order_and_at_most_so_many_bytes"),
]  # fmt: skip
