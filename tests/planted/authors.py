"""Defects of what the authors' code does otherwise, and of the paper's ablation."""

from __future__ import annotations

from planted.defect import of

_ANY = "tests/training/test_variants.py"
_NETWORKS = "tests/systems/stackgan/test_authors_networks.py"
_variants = of("systems/stackgan/variants.py", _ANY)
_losses = of("systems/losses.py", _ANY)
_steps = of("systems/stackgan/step.py", _ANY)
_made = of("training/steps.py", _ANY)
_schedule = of("training/schedule.py", _ANY)
_checkpoint = of("training/checkpoint.py", _ANY)
_prepare = of("training/prepare.py", _ANY)
_batches = of("data/batches.py", "tests/data/test_authors_batches.py")
_images = of("data/images.py", "tests/data/test_authors_batches.py")
_cache = of("data/cache.py", "tests/data/test_authors_batches.py")
_config = of("config.py", "tests/test_config.py")
_conditioning = of("networks/conditioning.py", _NETWORKS)
_stage1 = of("systems/stackgan/stage1.py", _NETWORKS)
_stage2 = of("systems/stackgan/stage2.py", _NETWORKS)
_critic = of("systems/stackgan/discriminators.py", _NETWORKS)
_blocks = of("networks/blocks.py", _NETWORKS)
_bottleneck = of("systems/stackgan/authors.py", _NETWORKS)
_build = of("systems/stackgan/build.py", _NETWORKS)
_initialise = of("networks/initialise.py", _NETWORKS)

_HEADS = "test_both_heads_together_are_halves_of_the_real_and_thirds_of_the_fake"
_PAIR = "test_a_wrong_pair_is_a_wrong_caption_a_wrong_image_or_the_next_caption"
_FROZEN = "test_what_a_frozen_stage1_normalises_by_and_what_moves"
_TUNED = "test_fine_tuning_moves_stage1_by_its_share_of_the_rate"
_RESUMED = "test_a_stage1_that_moves_is_in_the_checkpoint"
_SATURATES = "test_the_loss_of_probabilities_is_the_logistic_one_until_the_sigmoid_saturates"
_TRUNCATED = "test_truncated_numbers_are_those_of_a_normal_within_two_deviations"
_COUNTS = "test_the_presets_have_as_many_weights_as_published"
_CRITICS = "test_tensorflows_discriminators_leave_out_the_activations_before_the_skip"
_SAME = "tests/training/test_published_arithmetic.py"
_MEAN = "test_the_mean_is_of_so_many_different_captions_of_the_example"

_TRAINING = [
    _losses(
        "0.5 * (graded.real + real) + (graded.wrong",
        "(graded.real + real) + (graded.wrong",
        "both heads' real answers are halved",
        _HEADS,
    ),
    _losses(
        "(graded.wrong + graded.fake + fake) / 3",
        "(graded.wrong + graded.fake + fake) / 2",
        "the three fake answers are thirds",
        _HEADS,
    ),
    _losses(
        "probability = logits.float().sigmoid()",
        "probability = logits.float().sigmoid().clamp(1e-6, 1 - 1e-6)",
        "a saturated probability costs 100 nats",
        _SATURATES,
    ),
    _variants(
        "return gaussian.mean.detach()",
        "return gaussian.mean",
        "the mean is read without its gradient",
        "test_a_discriminator_reads_the_embedding_or_the_mean_without_its_gradient",
    ),
    _variants(
        "discriminator.conditional(discriminator.features(wrong_images), text)",
        "discriminator.conditional(features, text)",
        "a wrong image is looked at",
        _PAIR,
    ),
    _variants(
        "Features(*(part[:-1] for part in features)), text[1:])",
        "Features(*(part[1:] for part in features)), text[:-1])",
        "an image stands beside the next caption",
        _PAIR,
    ),
    _variants(
        'if settings.heads == "together":',
        "if False:",
        "heads may count together",
        _HEADS,
    ),
    _variants(
        'or conditioning.eps == "none":',
        "or False:",
        "without CA there is no KL",
        "test_the_kl_is_summed_averaged_or_not_there",
    ),
    _variants(
        'gaussian.mean_kl_to_standard() if reduction == "mean"',
        'gaussian.mean_kl_to_standard() if reduction == "sum"',
        "the KL is averaged where asked",
        "test_the_kl_is_summed_averaged_or_not_there",
    ),
    _variants(
        'norm.track_running_stats = kind == "drift"',
        "norm.track_running_stats = True",
        "a Stage-I on batch statistics keeps its own",
        _FROZEN,
    ),
    _variants(
        'norm.track_running_stats = kind == "drift"',
        "norm.track_running_stats = False",
        "PT's fixed Stage-I drifts",
        _FROZEN,
    ),
    _variants(
        "            norm.track_running_stats = True\n        sketcher.eval()",
        "            norm.track_running_stats = True",
        "Stage-I is in evaluation mode again",
        _FROZEN,
    ),
    _steps(
        'keep = count == 1 and settings.fakes == "reused"',
        "keep = count == 1",
        "TF's fakes are drawn anew",
        "test_redrawn_fakes_are_of_new_noise_and_only_they_teach",
    ),
    _schedule(
        'rate * factor * group.get("share", 1.0)',
        "rate * factor",
        "a fine-tuned Stage-I keeps its share of the rate",
        _TUNED,
    ),
    _made(
        '"lr": share * settings.generator_lr',
        '"lr": settings.generator_lr',
        "a fine-tuned Stage-I begins with its share of the rate",
        _TUNED,
    ),
    _checkpoint(
        '"sketcher": None if stage.moving is None else stage.moving.state_dict(),',
        '"sketcher": None,',
        "a moving Stage-I is saved",
        _RESUMED,
    ),
    _checkpoint(
        '_fill(stage.moving, state["sketcher"])',
        "pass",
        "a moving Stage-I is restored",
        _RESUMED,
    ),
    _prepare(
        "stage.epochs * steps_per_epoch",
        "stage.epochs",
        "epochs become steps",
        "test_epochs_become_steps_of_the_data_set",
    ),
]

_DATA = [
    _batches(
        "np.where(same, further, others)",
        "others",
        "a wrong image of the same class moves on",
    ),
    _batches(
        "random.integers(100, 200)",
        "random.integers(1, 200)",
        "it moves on by 100 to 199",
        "test_a_collision_moves_on_by_100_to_199",
    ),
    _batches(
        "np.where(same, further, others), *self._crops",
        "chosen, *self._crops",
        "a wrong image is another's",
        "test_a_wrong_image_is_another_example_s_beside_this_one_s_caption",
    ),
    _batches("count, replace=False)", "count)", "the averaged captions differ", _MEAN),
    _batches(
        "count = min(self.captions_per_image, len(rows))",
        "count = min(2, len(rows))",
        "as many captions are averaged as asked",
        _MEAN,
    ),
    _batches(
        "rows = self._own[partner] - self._own[chosen[place]]",
        "rows = self._own[partner]",
        "a shared caption is not a wrong one",
        "test_a_caption_that_both_share_is_not_in_the_wrong_mean",
    ),
    _images(
        'if resize == "through_304" and size_px < 304:',
        "if False:",
        "TF's small images are made from 304",
        "test_photographs_are_resized_in_the_paper_s_way_or_the_authors_ways",
    ),
    _images(
        'Image.Resampling.BILINEAR if resize == "bilinear"',
        'Image.Resampling.BILINEAR if resize == "nothing"',
        "PT resizes bilinearly",
        "test_photographs_are_resized_in_the_paper_s_way_or_the_authors_ways",
    ),
    _cache(
        'way = fit if resize == "bicubic" else f"{fit}-{resize}"',
        "way = fit",
        "each way of resizing has a cache of its own",
        "test_each_way_has_a_cache_of_its_own",
    ),
]

_SETTINGS = [
    of("nested.py", "tests/test_config.py")(
        'base.pop("epochs", None)',
        "pass",
        "steps given last count",
        "test_the_length_that_is_given_last_counts",
    ),
    _config(
        "merge(values, _preset(base))",
        "pass",
        "a preset stands on those it extends",
        "test_a_preset_stands_on_those_it_extends",
    ),
    _config(
        "    merge(values, own)\n    return values",
        "    return values",
        "a preset has its own values",
        "test_a_preset_stands_on_those_it_extends",
    ),
]

_NETS = [
    _conditioning(
        "within = math.erf(math.sqrt(2.0))",
        "within = 1.0",
        "eps is truncated at two deviations",
        _TRUNCATED,
    ),
    _conditioning(
        'if eps is None or self.eps == "none":',
        "if eps is None:",
        "without CA eps does nothing",
        "test_without_conditioning_augmentation_eps_does_nothing",
    ),
    _stage1("max(16, 8 * width // 2**k)", "8 * width // 2**k", "no fewer than 16 maps"),
    _stage1(
        "bias=self.project_bias)",
        "bias=False)",
        "TF's fully connected layer has a bias",
        _COUNTS,
    ),
    _bottleneck(
        "self.first(self.as_maps(projected))",
        "self.first(self.as_maps(projected.relu()))",
        "TF has no ReLU after its first layer",
        "test_tensorflows_stage1_has_no_relu_before_its_blocks_and_none_after_them",
    ),
    _stage1(
        "shift = self.noise_dim",
        "shift = self.condition_dim",
        "the literal order is a permutation of both alike",
        f"{_SAME}::test_two_steps_are_the_published_ones",
    ),
    _bottleneck(
        "return F.leaky_relu(x + self.norm3(self.conv3(y)), self.slope)",
        "return F.leaky_relu(self.norm3(self.conv3(y)), self.slope)",
        "a bottleneck has a skip",
        "test_a_bottleneck_is_what_tensorflow_computes",
    ),
    _critic(
        "activated=not (quiet and k > 1)",
        "activated=True",
        "TF's Stage-I leaves out two activations",
        _CRITICS,
    ),
    _critic("1 if body.bottleneck else 3", "3", "TF's way back is of 1x1", _CRITICS),
    _critic(
        'if self.text_kind == "leaky_relu":',
        "if self.text is not None:",
        "the paper's layer for text is linear",
        "test_the_text_s_layer_is_linear_in_the_paper_and_leaky_in_the_authors_code",
    ),
    _build(
        "image_px=a.stage1_px if stage == 1",
        "image_px=64 if stage == 1",
        "one stage of 256 is judged at 256",
        "test_a_one_stage_model_paints_256",
    ),
    _build(
        "asked = a.stage1_unconditional",
        "pass",
        "Stage-I may lack the head that Stage-II has",
        _COUNTS,
    ),
    _initialise(
        'kind == "truncated" and batch and isinstance(module, nn.Conv2d)',
        'kind == "truncated" and batch',
        "fully connected layers are not truncated",
        "test_first_weights_may_be_truncated_in_convolutions_alone",
    ),
    _build(
        'module.literal = architecture.arithmetic == "literal"',
        "pass",
        "literal arithmetic is the published one",
        "test_literal_arithmetic_is_the_same_function",
    ),
]

DEFECTS = _TRAINING + _DATA + _SETTINGS + _NETS
