"""Defects that the fence sees, and defects of the fence."""

from __future__ import annotations

from planted.defect import Defect

_PICTURES = "tests/fence/test_pictures.py::"
_STATES = "tests/fence/test_states.py::"
_KEYS = "tests/fence/test_keys.py::"
_BYTES = f"{_PICTURES}test_every_png_has_the_recorded_bytes_on_a_recorded_machine"
_LEVELS = f"{_PICTURES}test_every_picture_is_the_recorded_one_within_two_levels"
_BITS = f"{_STATES}test_three_steps_end_in_the_recorded_bits_on_a_recorded_machine"
_ROUNDING = f"{_STATES}test_three_steps_end_where_they_were_recorded_but_for_rounding"
_NAMES = f"{_KEYS}test_a_run_holds_the_recorded_names"


def _seen(file: str, old: str, new: str, claim: str, test: str) -> Defect:
    return Defect(f"src/stackgan/{file}", old, new, claim, (test,))


def _own(file: str, old: str, new: str, claim: str, test: str) -> Defect:
    return Defect(f"tests/fence/{file}.py", old, new, claim, (test,))


DEFECTS = [
    _seen("tensors.py", ".mul_(127.5).round_()", ".mul_(127.5).floor_()",
          "pictures keep their bytes", _BYTES),
    _seen("result.py", '"version": self.version,', '"versions": self.version,',
          "PNGs keep their fields", _BYTES),
    _seen("pipeline.py", "torch.Generator().manual_seed(seed)",
          "torch.Generator().manual_seed(seed + 1)", "pictures stay what they were", _LEVELS),
    _seen("training/ema.py", "weight = 1 - decay", "weight = 1.0001 - decay",
          "three steps keep their bits", f"{_BITS}[stage1-modern]"),
    _seen("training/loop.py", "int(words[0]) << 31", "int(words[0]) << 30",
          "three steps draw what they drew", f"{_ROUNDING}[stage1-paper]"),
    _seen("systems/stackgan/step.py", "loss = settings.kl_weight * kl\n", "loss = 0.5 * kl\n",
          "elsewhere a loss of another weight is no rounding", f"{_ROUNDING}[stage1-authors-pt]"),
    _seen("systems/stackgan/step.py", "settings.projected_weight * judged", "0.9 * judged",
          "elsewhere a tenth of one loss is no rounding", f"{_ROUNDING}[stage1-modern]"),
    _seen("systems/stackgan/variants.py", 'norm.track_running_stats = kind == "drift"',
          "norm.track_running_stats = False",
          "elsewhere statistics that stay are no rounding", f"{_ROUNDING}[stage2-authors-pt]"),
    _seen("training/checkpoint.py",
          '"average": None if stage.average is None else stage.average.state_dict(),',
          '"average": None if stage.average is None else dict(stage.average.named_parameters()),',
          "checkpoints keep their names", f"{_NAMES}[modern]"),
    _seen("hub.py", '"scores": dict(scores or {}),', '"figures": dict(scores or {}),',
          "config.json keeps its keys", f"{_NAMES}[paper]"),
    _own("pictures", "if record.get(what) != now:", "if record.get(what, now) != now:",
         "a record that lacks something is outdated",
         f"{_PICTURES}test_a_record_of_other_weights_asks_to_be_made_anew"),
    _own("pictures", "dtype=np.int16", "dtype=np.uint8", "a difference does not wrap",
         f"{_PICTURES}test_apart_is_the_largest_difference_of_any_pixel"),
    _own("states", "leaf.contiguous().numpy().tobytes()", 'leaf.numpy().tobytes("A")',
         "a digest does not know how a tensor lies in memory",
         f"{_STATES}test_a_digest_is_of_values_names_kinds_and_shapes_not_of_their_place_in_memory"),
    _own("states", 'head = f"{leaf.dtype} {tuple(leaf.shape)} "', 'head = f"{leaf.dtype} "',
         "a digest knows shapes",
         f"{_STATES}test_a_digest_is_of_values_names_kinds_and_shapes_not_of_their_place_in_memory"),
    _own("states", "sorted(sha256(_bytes(each)) for each in tensors)",
         "[sha256(_bytes(each)) for each in tensors]", "renamed entries keep the values",
         f"{_STATES}test_a_renamed_entry_keeps_the_values"),
    _own("likeness", "further = any(", "further = False and any(",
         "no figure may be far off",
         f"{_STATES}test_no_figure_may_be_a_tenth_and_thirty_times_off"),
    _own("likeness", "or (begun and", "or (False and", "the first step is as it was",
         f"{_STATES}test_what_stage_1_says_of_its_first_step_is_held_to_a_thousandth"),
    _own("likeness", "off if len(off) > SHARE * len(now) else []", "[]",
         "more than one figure in fifty off is no rounding",
         f"{_STATES}test_one_figure_in_fifty_may_be_further_off"),
    _own("likeness", "apart > TIMES * moved", "apart > 100 * moved",
         "ten times what rounding moved",
         f"{_STATES}test_ten_times_what_rounding_moved_is_rounding"),
    _own("keys", "{list(value.shape)}", "", "lists tell shapes",
         f"{_KEYS}test_a_list_tells_names_kinds_and_shapes"),
    _own("keys", "groups[-1][2:] == (number - 1, told)", "groups[-1][2] == number - 1",
         "only numbers that hold the same are folded",
         f"{_KEYS}test_an_optimizer_s_numbers_are_folded_where_they_hold_the_same"),
]  # fmt: skip
