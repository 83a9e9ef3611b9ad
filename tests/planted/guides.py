"""Defects of what a newcomer met on the way through the guides."""

from __future__ import annotations

from planted.defect import of

_caption = of("training/captioning.py", "tests/training/test_encoder.py")
_joint = of("training/joint.py", "tests/training/test_encoder.py")
_progress = of("cli/progress.py", "tests/cli/test_progress.py")
_convolutions = of("fast/convolutions.py", "tests/fast/test_fast_equals_plain.py")
_fold = of("inference/fold.py", "tests/test_pipeline.py")

_LINES = "test_without_a_terminal_a_line_comes_now_and_then"
_BYTES = "test_the_shipped_model_s_pictures_are_the_same_bytes_in_any_batch"

DEFECTS = [
    _caption("if folder not in folders:", "if False:", "a class map's sub-folders are there",
             "test_an_unknown_sub_folder_of_the_map_is_named"),
    _joint("if sum(map(len, parts)) > done:", "if False:",
           "features that were computed are kept on a break",
           "test_frozen_features_go_on_after_a_break"),
    _joint("for start in range(done, count, 64):", "for start in range(0, count, 64):",
           "features that are there are not computed again",
           "test_frozen_features_go_on_after_a_break"),
    of("data/check.py", "tests/cli/test_train_verb.py")(
         "if len(examples) < 2:", "if False:", "one photograph is too few",
         "test_one_photograph_is_too_few_to_train_on"),
    of("cli/dry_run.py", "tests/cli/test_train_verb.py")(
        'settings = settled.model_dump(mode="json")',
           'settings = plan.settings.model_dump(mode="json")',
           "a dry run tells the steps that will be made",
           "test_a_dry_run_tells_epochs_in_steps"),
    _progress("if now - self.told < LINE_EVERY_S:", "if False:", "lines are a minute apart",
              _LINES),
    _progress("if not sys.stderr.isatty():", "if False:", "a file gets lines, not a bar", _LINES),
    _fold("if side <= 8 and not transposed:", "if False:",
          "convolutions of small maps know the batch",
          "tests/inference/test_packed.py::"
          "test_where_there_is_no_onednn_networks_stay_and_draw_the_same"),
    _convolutions("if row_by_row else [code]", "if False else [code]",
            "the joined code knows the batch",
            "test_codes_asked_alone_give_the_same_bits_in_any_batch"),
]  # fmt: skip
