"""Defects of choosing the best of several pictures."""

from __future__ import annotations

from planted.defect import of

_best_of = of("best_of.py", "tests/test_best_of.py")
_joint = of("joint.py", "tests/test_best_of.py")
_pipeline = of("pipeline.py", "tests/test_best_of.py")
_result = of("result.py", "tests/test_best_of.py")

_KEPT = "test_of_each_run_of_seeds_the_one_that_fits_best_is_kept"

DEFECTS = [
    _best_of("fit.argmax(1)", "fit.argmin(1)", "the best is kept and not the worst", _KEPT),
    _best_of(
        "tried[row * best_of + best]",
        "tried[best]",
        "each picture has a run of seeds of its own",
        _KEPT,
    ),
    _best_of(
        "joint.of_captions([caption])[0]",
        "joint.of_captions(captions[:1])[0]",
        "each caption judges its own pictures",
        _KEPT,
    ),
    _best_of(
        "truncation=truncation,",
        "truncation=1.0,",
        "what is ranked is what is drawn",
        "test_ranking_is_of_what_is_drawn_truncation_included",
    ),
    _best_of(
        "stage=1,",
        "stage=None,",
        "only winners are painted",
        "test_only_winners_are_painted",
    ),
    _best_of(
        "told_from(start * best_of)",
        "told_from(0)",
        "progress rises",
        "test_however_many_are_held_at_a_time_the_same_are_kept",
    ),
    _best_of(
        "    joint = model.joint  #",
        "    model.draw(captions, [0] * len(captions))\n    joint = model.joint  #",
        "what is missing is said before anything is drawn",
        "test_an_encoder_without_an_image_side_is_said_before_anything_is_drawn",
    ),
    _best_of(
        "seeds[start * best_of : (start + len(some)) * best_of]",
        "seeds[: len(some) * best_of]",
        "each picture has seeds of its own",
        "test_however_many_are_held_at_a_time_the_same_are_kept",
    ),
    _pipeline(
        "firsts = [seed + place % num_images * best_of for place in places]",
        "firsts = [seed + place % num_images for place in places]",
        "more pictures change none of the earlier",
        "test_more_pictures_change_none_of_the_earlier",
    ),
    _pipeline(
        "check_seed(seed, num_images * best_of)",
        "check_seed(seed, num_images)",
        "every seed that is tried is checked",
        "test_what_cannot_be_chosen_is_said",
    ),
    _pipeline(
        "num_images * best_of, truncation)",
        "num_images, truncation)",
        "one picture several times is said",
        "test_of_one_and_the_same_picture_several_times_it_is_said",
    ),
    _result(
        "if self.best_of > 1 else {}",
        "if False else {}",
        "a chosen picture says so",
        "test_the_verb_tells_the_kept_seed_in_name_field_and_answer",
    ),
    _joint(
        "not isinstance(encoder, CharCnnRnn)\n            or not wanted",
        "not wanted",
        "any encoder without an image side is refused",
        "test_any_encoder_without_an_image_side_is_refused",
    ),
]
