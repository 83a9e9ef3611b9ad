"""Defects of the projected discriminator and of the training beside it."""

from __future__ import annotations

from planted.defect import of

_judge = of("systems/projected.py", "tests/systems/test_projected.py")
_step = of("systems/stackgan/step.py", "tests/training/test_projected_step.py")
_heads = of("systems/stackgan/head_losses.py", "tests/training/test_projected_step.py")
_maps = of("fast/frozen_maps.py", "tests/fast/test_frozen_maps.py")
_kept = of("training/checkpoint.py", "tests/training/test_projected_step.py")

DEFECTS = [
    _judge(
        "self.mix.requires_grad_(False)",
        "self.mix.requires_grad_(True)",
        "the mixing of channels is fixed",
        "test_only_the_heads_are_trained_and_kept",
    ),
    _judge(
        "spread = [F.interpolate(x.float(), size) for x in logits]",
        "spread = [x.float() * (len(TAPS) - k) for k, x in enumerate(\n"
        "            F.interpolate(x, size) for x in logits)]",
        "every scale weighs the same",
        "test_every_scale_weighs_the_same",
    ),
    of("networks/features.py", "tests/systems/test_projected.py")(
        "* (127.5 / 128) + 0.5 / 128",
        "* (127.5 / 128) - 0.5 / 128",
        "the maps are of the pixels the network knows",
        "test_the_maps_are_those_the_features_are_pooled_from",
    ),
    _maps(
        "norm.bias.double() - mean.double() * gain",
        "norm.bias.double() + mean.double() * gain",
        "the batch normalisation lies in the convolution",
        "test_maps_and_gradients_are_those_of_the_package_s_blocks",
    ),
    _maps(
        "F.pad(weight, (right - left, 0, bottom - top, 0))",
        "F.pad(weight, (0, right - left, 0, bottom - top))",
        "padding more at the far side is a kernel with zeros at the near one",
        "test_maps_and_gradients_are_those_of_the_package_s_blocks",
    ),
    _maps(
        "slope: Tensor = torch.ops.aten.hardtanh_backward(grad, result, 0, 6)",
        "slope: Tensor = torch.ops.aten.hardtanh_backward(grad, result, 0, 7)",
        "what is cut at 6 has no slope",
        "test_maps_and_gradients_are_those_of_the_package_s_blocks",
    ),
    _maps(
        "grad = torch.ops.aten.hardtanh_backward(grad, result, 0, 6)",
        "grad = torch.ops.aten.hardtanh_backward(grad, result, 0, 7)",
        "what is cut at 6 has no slope in bfloat16",
        "test_a_bfloat16_layer_s_gradient_is_torch_s",
    ),
    _maps(
        "weight.flip(2, 3)",
        "weight",
        "a strided gradient's kernel is turned",
        "test_a_bfloat16_layer_s_gradient_is_torch_s",
    ),
    _maps(
        "first = kernel - 1 - padding",
        "first = kernel - padding",
        "a strided gradient lies where it was read",
        "test_a_bfloat16_layer_s_gradient_is_torch_s",
    ),
    _maps(
        '"hardtanh", [0.0, 6.0]',
        '"relu", [None, None]',
        "what is cut at 6 in bfloat16",
        "test_a_bfloat16_layer_s_gradient_is_torch_s",
    ),
    _maps(
        "[block.to(dtype) for block in blocks]",
        "blocks",
        "in bfloat16 the blocks' weights are too",
        "test_in_bfloat16_they_are_the_same_maps_rounded",
    ),
    _maps(
        "return y + x if self.skip else y",
        "return y",
        "a block's input is added to its output",
        "test_maps_and_gradients_are_those_of_the_package_s_blocks",
    ),
    _maps(
        "if (left, right) != (top, bottom) or right - left not in (0, 1):",
        "if False:",
        "a padding of another network is refused",
        "test_a_padding_of_another_network_is_refused",
    ),
    _heads(
        "projected([x.detach() for x in fake_maps], text)",
        "projected([x.detach() for x in maps], text)",
        "the projected discriminator is shown pictures",
        "test_it_learns_to_tell_photographs_from_pictures",
    ),
    _step(
        "adversarial + settings.projected_weight * judged",
        "adversarial + judged",
        "the generator pays by the weight",
        "test_the_generator_pays_it_by_the_weight",
    ),
    _step(
        "[self.discriminator, *projected, *beside]",
        "[self.discriminator, *beside]",
        "the generator's step leaves the heads alone",
        "test_the_generator_step_leaves_its_heads_without_gradient",
    ),
    _step(
        "stage.projected is None or fakes.pairs == len(fakes.images)",
        "stage.projected is None",
        "shrunken photographs are not shown to it",
        "test_shrunken_photographs_alone_are_not_shown_to_it",
    ),
    _step(
        "real = _placed(stage, view.seen[place], random)",
        "real = view.seen[place]",
        "photographs are shown moved, as pictures are",
        "test_photographs_are_shown_moved_too",
    ),
    of("systems/augment.py", "tests/training/test_projected_step.py")(
        'mode="reflect"',
        'mode="constant"',
        "what is moved is mirrored at the border",
        "test_it_sees_all_images_moved_alike_and_mirrored_at_the_border",
    ),
    _kept(
        '            _fill(stage.projected, state["projected"])\n',
        "            pass\n",
        "a checkpoint keeps the projected heads",
        "test_a_resumed_stage_goes_on_with_the_same_heads",
    ),
]
