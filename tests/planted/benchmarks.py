"""Defects of what benchmarks/pictures.py and typed_prompts.py measure with."""

from __future__ import annotations

from planted.defect import Defect

_TESTS = "tests/evaluation/test_pictures_benchmark.py"
_WAVE = "test_a_wave_is_found_with_its_period_direction_and_power"
_LINE = "test_precision_and_recall_of_points_on_a_line"
_SOME = "test_a_few_pictures_are_some_of_the_many"


def _of(file: str, old: str, new: str, claim: str, *names: str) -> Defect:
    return Defect(f"benchmarks/{file}.py", old, new, claim, tuple(f"{_TESTS}::{n}" for n in names))


def _typed(file: str, old: str, new: str, claim: str, *names: str) -> Defect:
    tests = "tests/evaluation/test_typed_prompts.py"
    return Defect(f"benchmarks/{file}.py", old, new, claim, tuple(f"{tests}::{n}" for n in names))


DEFECTS = [
    _typed("species", "argsort(1, True)", "argsort(1, False)", "the likeliest comes first",
           "test_species_well_apart_are_told_and_ranked"),
    _typed("species", "bool(set(row[:top]) & set(wanted))", "row[0] in wanted",
           "top-5 looks at five", "test_species_well_apart_are_told_and_ranked"),
    _typed("species", "each = (len(classes) / len(listed) / place.bincount().double())[place]",
           "each = torch.ones(len(place), dtype=torch.float64)",
           "a rare species weighs as much",
           "test_half_way_between_species_that_overlap_is_half_way_however_many_of_each"),
    _typed("species", "(features.double() - self.mean) / self.deviation", "features.double()",
           "pictures are standardised as the photographs",
           "test_pictures_are_standardised_by_the_photographs_mean_and_deviation"),
    _typed("species", "seen[each] % LEFT_OUT == 0", "len(seen) % LEFT_OUT == 0",
           "photographs are left out of every class",
           "test_every_fifth_photograph_of_a_class_is_left_out"),
    _typed("species", "if file is None or not file.is_file():", "if True:",
           "what is known is not read again", "test_a_model_is_measured_from_the_command_line"),
    _typed("typed_prompts", "[c == prompt.denied for c in called]",
           "[c != prompt.denied for c in called]", "a denied colour that is seen counts",
           "test_other_pictures_are_wrong_and_the_denied_colour_is_seen"),
    _typed("typed_prompts", "(pixels.float() - plain.float()).abs()", "(pixels - plain).abs()",
           "a change has no sign and does not wrap",
           "test_pictures_of_the_colour_and_species_named_are_right"),
    _typed("typed_prompts", "if row.get(column) is not None])", "if row.get(column)])",
           "a figure of zero counts", "test_groups_are_means_over_the_captions_that_have_a_figure"),
    _typed("typed_prompts", "truncation=how.truncation, progress", "progress",
           "the truncation asked for is drawn", "test_pictures_are_of_their_caption_and_seed"),
    _typed("typed_prompts", "seed * how.best_of + k", "seed + k",
           "the best of several are a call's", "test_the_best_of_several_may_be_asked_for"),
    _typed("typed_prompts", "read.unknown or still", "still",
           "unknown words count as said", "test_what_the_model_says_of_a_caption_is_read"),
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
        "test_truncation_is_passed_on_and_said"),
    _of("pictures", "lanczos = resized(measured.shrunk(), size_px)", "lanczos = pixels",
        "Lanczos stands beside refine", "test_refined_photographs_have_lanczos_beside_them"),
    _of("pictures", "panel.require_captions()", "pass",
        "missing judges are told before anything is drawn",
        "test_judges_that_are_not_there_are_asked_for_first"),
    _of("sheet", "file.tell() <= limit_bytes", "True", "a sheet has at most a megabyte",
        "test_a_sheet_holds_the_pictures_in_order_and_at_most_so_many_bytes"),
]  # fmt: skip
