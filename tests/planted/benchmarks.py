"""Defects of what benchmarks/pictures.py and typed_prompts.py measure with."""

from __future__ import annotations

from planted.defect import Defect

_TESTS = "tests/evaluation/test_pictures_benchmark.py"
_SOME = "test_a_few_pictures_are_some_of_the_many"


def _of(file: str, old: str, new: str, claim: str, *names: str) -> Defect:
    return Defect(f"benchmarks/{file}.py", old, new, claim, tuple(f"{_TESTS}::{n}" for n in names))


def _judges(old: str, new: str, claim: str, *names: str) -> Defect:
    tests = "tests/evaluation/test_judge_networks.py"
    return Defect(
        "benchmarks/judge_networks.py", old, new, claim, tuple(f"{tests}::{n}" for n in names)
    )


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
    _judges("self.conv1(images.flip(1))", "self.conv1(images)", "SqueezeNet reads blue first",
            "test_squeezenet_reads_blue_first_less_its_mean"),
    _judges("(123.0, 117.0, 104.0)", "(104.0, 117.0, 123.0)",
            "the mean is red's, green's and blue's",
            "test_squeezenet_reads_blue_first_less_its_mean"),
    _judges("channels = 8 * squeezed", "channels = 9 * squeezed", "SqueezeNet is the published one",
            "test_judges_have_the_published_number_of_weights"),
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
