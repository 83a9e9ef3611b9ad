"""Defects of what makes it fast, and of how that is measured."""

from __future__ import annotations

from planted.defect import of

_EQUAL = "tests/fast/test_fast_equals_plain.py"
_BENCH = "tests/evaluation/test_bench.py"
_RECIPE = "tests/evaluation/test_plain_recipe.py"

_small = of("fast/small_maps.py", _EQUAL)
_form = of("fast/convolutions.py", _EQUAL)
_layers = of("networks/layers.py", _EQUAL)
_up = of("fast/up_kernels.py", _EQUAL)
_joined = of("fast/replicated.py", _EQUAL)
_adam = of("fast/adam.py", "tests/fast/test_adam.py")
_parts = of("systems/parts.py", "tests/training/test_parts.py")
_steps = of("systems/stackgan/step.py", "tests/training/test_parts.py")
_made = of("training/steps.py", "tests/training/test_parts.py")
_again = of("networks/arranged.py", "tests/training/test_parts.py")
_together = of("networks/together.py", _EQUAL)
_critic = of("systems/stackgan/discriminators.py", _EQUAL)
_timing = of("evaluation/bench/timing.py", _BENCH)
_figures = of("evaluation/bench/figures.py", _BENCH)
_report = of("evaluation/bench/report.py", _BENCH)
_child = of("evaluation/bench/child.py", _BENCH)
_plainly = of("evaluation/bench/recipe.py", _RECIPE)

_SMALL = "test_a_convolution_of_small_maps_is_torch_s"
_ONLY = "test_only_small_maps_become_a_matrix_product"
_CODE = "test_a_replicated_code_is_convolved_without_its_map"
_JOIN = "test_the_join_of_features_and_condition_is_one_convolution"
_STORED = "test_stored_up_kernels_are_the_same_weights"
_ADAM = "test_it_is_adam_whatever_lies_where"
_SUM = "test_parts_add_up_to_the_whole_step"
_BITS = "test_what_is_computed_again_is_the_same_to_the_last_bit"
_LOSSES = "test_losses_agree_in_float32"

_STEPPING = "test_stepping_weight_by_weight_is_a_step"
_EACH = "test_batches_that_pass_together_are_judged_each_by_itself"

DEFECTS = [
    _adam("weight.grad = None", "pass", "a gradient is freed once it is used", _STEPPING),
    _adam("hook.remove()", "pass", "past its context no backward pass moves a weight", _STEPPING),
    _adam("norms.append(torch.linalg.vector_norm(weight.grad))",
          "norms.append(torch.linalg.vector_norm(weight))",
          "the norm told is the gradient's", _STEPPING),
    _together("return torch.cat([function(part) for part in input.chunk(self.batches)])",
              "return function(input)", "each batch is normalised by itself", _EACH),
    _together("part.batches = count\n", "pass\n",
              "batches pass together only while asked to", _EACH),
    _critic("parts = (maps.chunk(len(batches)) for maps in found)",
            "parts = (maps.chunk(len(batches))[::-1] for maps in found)",
            "each batch gets its own features", _EACH),
    _again("with together(block, batches):\n            yield", "yield",
           "batches that passed together are computed again together", _BITS),
    _again('again = self.recompute == "all" or (large and self.recompute == "largest")',
           'again = self.recompute == "all"', "the largest maps are not kept",
           "test_recomputing_keeps_fewer_maps"),
    _small("(0, 0, padding, padding, padding, padding)", "(0, 0, padding, padding, 2 * padding, 0)",
           "small maps are padded on both sides", _SMALL),
    _small("permute(0, 1, 2, 4, 5, 3)", "permute(0, 1, 2, 5, 4, 3)",
           "a window's rows and columns keep their places", _SMALL),
    _small("sums[:, i : i + height, :, j : j + width] += part",
           "sums[:, i : i + height, :, j : j + width] = part",
           "overlapping windows' gradients add up", _SMALL),
    _small("return _windows(gradients[0], ctx.kernel, ctx.stride), None, None, None, None",
           "return _windows(gradients[0] * 0, ctx.kernel, ctx.stride), None, None, None, None",
           "a penalty's gradient passes small maps", _SMALL),
    _small("rows.shape[3]), matrix, bias)",
           "rows.shape[3]), matrix)", "small maps get their bias", _SMALL),
    _form("if side <= SMALL_PX", "if side <= SMALL_PX + 1",
          "maps of 9 pixels are not small", _ONLY),
    _layers("if self.literal:\n            return self.plain(input)\n        return conv2d",
            "return conv2d", "literal arithmetic is torch's", _ONLY),
    _joined("read >= 0", "read >= -1", "taps beyond the border see no code", _CODE),
    _joined("rows[:, None, :, None] * columns[None, :, None, :]",
            "columns[:, None, :, None] * rows[None, :, None, :]",
            "rows and columns of a map keep their sides", _CODE),
    _form("return joined + torch.cat(of_code).to(joined.dtype)", "return joined",
          "the code is joined", _JOIN),
    _layers("return conv2d(input, self.weight, self.bias,",
            "self.weight.detach()\n        return conv2d(input, self.weight, self.bias,",
            "a spectral weight is read once a pass", "test_a_spectral_weight_is_read_once_a_pass"),
    _layers("if code is None or self.literal:", "if code is None:",
            "a literal join is one convolution", _JOIN),
    _layers("super().__init__(features + code_dim, out_channels, 3",
            "super().__init__(code_dim + features, 2 * out_channels, 3",
            "the join's weight is the one convolution's",
            "test_the_join_keeps_the_weights_of_the_one_convolution"),
    _up("return weight.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2)",
        "return weight.permute(1, 3, 2, 0).contiguous().permute(3, 0, 1, 2)",
            "up kernels laid out anew keep their values", _STORED),
    _up("with torch.inference_mode(False):", "with torch.inference_mode():",
            "a kernel map made while sampling serves training",
            "test_up_kernels_made_while_sampling_train_afterwards"),
    _layers("module.weight.data = as_stored(module.weight.data)",
            "module.weight.data = as_stored(module.weight.data).contiguous()",
            "an up kernel's gradient needs no copy", _STORED),
    _adam("[_as_stored(_laid_like(cast(Tensor, p.grad), p), p) for p in weights]",
          "[_as_stored(cast(Tensor, p.grad), p) for p in weights]",
          "a gradient that lies otherwise meets its own weight", _ADAM),
    _adam("state[name] = _laid_like(state[name], weight)", "pass",
          "a state read from a file is laid like its weight",
          "test_its_state_is_that_of_torch_s_own"),
    _adam("torch._foreach_add_(steps, 1)", "torch._foreach_add_(steps, 2)",
          "Adam's correction counts every step", _ADAM),
    _adam("if p.grad is not None]", "]", "a weight without gradient stays",
          "test_a_weight_without_gradient_stays"),
    _parts("share = value if count == 1 else value / count", "share = value",
           "a report is the mean over the parts", _SUM),
    _steps("loss, said = _discriminator_part(stage, views[place], part, fakes, random)",
           "loss, said = _discriminator_part(stage, views[0], part, fakes, random)",
           "every part's photographs are judged",
           "test_every_part_is_judged_and_paid_for_with_its_own_numbers"),
    _steps('numbers[place].again(settings.fakes == "reused")', "numbers[place].again(False)",
           "a part's images are made again of the same numbers",
           "test_every_part_is_judged_and_paid_for_with_its_own_numbers"),
    of("training/turns.py", "tests/training/test_parts.py")(
        "for left in reversed(range(parts)):", "for left in (0,) * parts:",
        "the weights move with a turn's last part",
        "test_every_part_is_judged_and_paid_for_with_its_own_numbers"),
    of("training/turns.py", "tests/training/test_turns.py")(
        "if turn is None or turn.player != player:", "if turn is None:",
        "a turn has all its parts", "test_a_turn_without_all_its_parts_is_refused"),
    _made("generator.recompute = discriminator.recompute = settings.recompute", "pass",
           "recompute reaches the networks", "test_recomputing_keeps_fewer_maps"),
    of("config.py", "tests/training/test_parts.py")(
        "self.batch_size % self.accumulate or self.batch_size < 2 * self.accumulate",
        "self.batch_size % self.accumulate", "a part holds at least two",
        "test_a_batch_that_has_no_such_parts_is_refused"),
    _again("norm.momentum, norm.num_batches_tracked = 0.0, None", "pass",
           "statistics move once though maps are computed twice", _BITS),
    _again("and not _is_spectral(parts)", "",
           "a pass that changes its own weights is not repeated", _BITS),
    _timing("for name, work in works.items():\n            started",
            "for name, work in reversed(works.items()):\n            started",
            "works take turns in their order",
            "test_works_take_turns_after_one_of_each"),
    _timing("(max(self.seconds) - min(self.seconds)) / self.median",
            "max(self.seconds) - min(self.seconds)", "a spread is a share of the median",
            "test_the_spread_does_not_know_the_unit"),
    _timing("_largest(taken) < _largest(best)", "_largest(taken) > _largest(best)",
            "the steadiest round counts",
            "test_the_steadiest_round_counts_where_none_is_steady"),
    _timing("if _largest(best) <= SPREAD:\n            break", "break",
            "unsteady times are taken again",
            "test_what_lies_too_far_apart_is_measured_again"),
    _figures("plain.median / fast.median", "fast.median / plain.median",
             "a ratio says how many times as long the plain recipe takes",
             "test_works_take_turns_after_one_of_each"),
    _figures("self.value <= self.required if self.lower_is_better",
             "self.value >= self.required if self.lower_is_better",
             "less memory is better", "test_a_figure_is_met_from_its_own_side"),
    _figures("return above / sum((x - mean_x) ** 2 for x, _ in logs)",
             "return above / sum((y - mean_y) ** 2 for _, y in logs)",
             "growth is the cost's power", "test_growth_is_the_power_of_the_cost"),
    _report("if bench.quick:", "if False:", "a quick run is not held to what a whole one must show",
            "test_the_verb_measures_and_keeps"),
    _child('line.startswith("VmHWM:")', 'line.startswith("VmRSS:")',
           "a peak counts what was given back",
           "test_peak_memory_counts_what_was_given_back"),
    _plainly("wrong_features = _but_last(judge.features(real))",
             "wrong_features = _but_last(real_features)",
             "the plain recipe passes wrong pairs by themselves",
             "test_a_plain_step_passes_the_real_images_for_themselves_and_for_the_wrong_pairs"),
    _plainly("of_real + 0.5 * (of_wrong + of_fake)", "of_real + of_wrong + of_fake",
             "the plain discriminator's negatives weigh half", _LOSSES),
    _plainly("image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)", "image",
             "the plain loader flips", "test_the_published_loader_crops_flips_and_scales"),
    of("pipeline.py", _RECIPE)(
        "self._ready(loaded.stage1, torch.float32)", "self._ready(loaded.stage1, torch.bfloat16)",
        "Stage-I draws in float32",
        "test_sketches_are_those_of_float32"),
]  # fmt: skip
