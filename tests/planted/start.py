"""Defects of beginning from a trained model."""

from __future__ import annotations

from planted.defect import of

_start = of("training/start.py", "tests/training/test_start.py")
_hub = of("hub.py", "tests/training/test_start.py")

_ALL = "test_all_four_networks_are_taken_over_and_it_is_said"

DEFECTS = [
    _start(
        "    if model.has_discriminator(number):\n",
        "    if False:\n",
        "the discriminator is taken over",
        _ALL,
    ),
    _start(
        "mine.load_state_dict(theirs.state_dict())",
        "pass",
        "the weights are taken over",
        _ALL,
    ),
    _start(
        "stage.average.load_state_dict(generator.state_dict())",
        "pass",
        "the running average begins from the model too",
        _ALL,
    ),
    _start(
        "anew = [part for part in wanted if part not in names]",
        "anew: list[str] = []",
        "what begins anew is said",
        "test_what_the_model_lacks_begins_anew",
    ),
    _hub(
        "return DISCRIMINATOR if stage == self.last_stage else STAGE1_DISCRIMINATOR",
        "return DISCRIMINATOR",
        "each stage's discriminator is read from its own file",
        "test_a_model_folder_holds_the_discriminators_of_both_stages",
    ),
    of("training/run.py", "tests/training/test_start.py")(
        'fresh = not (run / f"stage{number}" / "checkpoint.pt").exists()',
        "fresh = True",
        "a resumed run does not say that it begins",
        "test_a_resumed_run_does_not_begin_again",
    ),
]
