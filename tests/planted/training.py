"""Defects of the networks, of a training step, and of a run that is stopped and resumed."""

from __future__ import annotations

from planted.defect import of

_losses = of("systems/losses.py", "tests/systems/test_losses.py")
_steps = of("systems/stackgan/step.py", "tests/training/test_steps.py")
_made = of("training/steps.py", "tests/training/test_steps.py")
_ema = of("training/ema.py", "tests/training/test_steps.py")
_schedule = of("training/schedule.py", "tests/training/test_steps.py")
_variants = of("systems/stackgan/variants.py", "tests/training/test_steps.py")
_augment = of("systems/augment.py", "tests/training/test_steps.py")
_loop = of("training/loop.py", "tests/training/test_loop.py")
_checkpoint = of("training/checkpoint.py", "tests/training/test_run.py")
_run = of("training/run.py", "tests/training/test_run.py")
_assemble = of("training/assemble.py", "tests/training/test_run.py")
_sketches = of("systems/stackgan/sketches.py", "tests/training/test_steps.py")
_record = of("training/record.py", "tests/training/test_record.py")
_memory = of("memory.py", "tests/test_memory.py")
_config = of("config.py", "tests/test_config.py")
_conditioning = of("networks/conditioning.py", "tests/networks/test_networks.py")
_blocks = of("networks/blocks.py", "tests/networks/test_networks.py")
_heads = of("networks/heads.py", "tests/networks/test_networks.py")
_initialise = of("networks/initialise.py", "tests/networks/test_networks.py")
_stage1 = of("systems/stackgan/stage1.py", "tests/networks/test_networks.py")
_stage2 = of("systems/stackgan/stage2.py", "tests/networks/test_networks.py")
_modern = of("systems/stackgan/modern.py", "tests/networks/test_networks.py")
_critic = of("systems/stackgan/discriminators.py", "tests/networks/test_networks.py")

# Names of tests that several defects share.
_RESUMED = "tests/training/test_run.py::test_resuming_is_the_same_as_never_stopping[3]"
_EVERY_INPUT = "test_every_input_of_the_generators_has_an_effect"
_KL = "test_kl_of_known_gaussians"
_SAMPLE = "test_a_sample_has_the_deviation_of_half_the_log_variance"
_KIND = "test_every_form_of_conditioning_is_a_function_of_its_own"
_IN_RANGE = "test_pictures_stay_in_range"
_CLOSED_FORM = "test_a_step_pays_for_what_the_discriminator_says_of_its_images"
_RATES = "test_rates_halve_at_the_epoch_and_decay_to_a_hundredth"

_LOSSES = [
    _losses(
        "called_fake(wrong, kind), called_fake(fake, kind)",
        "called_fake(fake, kind), called_fake(wrong, kind)",
        "wrong and fake are graded each in its place",
    ),
    _losses(
        "called_real(real, kind), called_fake(wrong",
        "called_fake(real, kind), called_fake(wrong",
        "a real pair is to be called real",
    ),
    _losses(
        "called_real(real, kind), called_fake(wrong",
        "called_real(real, kind), called_real(wrong",
        "a wrong pair is to be called fake",
    ),
    _losses(
        "self.real + 0.5 * (self.wrong + self.fake)",
        "self.real + self.wrong + self.fake",
        "both negatives weigh as much as the positive",
    ),
    _losses(
        "self.real + 0.5 * (self.wrong + self.fake)",
        "(self.real + self.wrong + self.fake) / 3",
        "the three answers are no thirds",
    ),
    _losses(
        "return called_real(real, kind) + called_fake(fake, kind)",
        "return called_real(fake, kind) + called_fake(real, kind)",
        "the unconditional head calls real real",
    ),
    _losses("else F.softplus(-logits)", "else F.softplus(logits)", "cross-entropy's sign"),
    _losses("F.relu(1 - logits)", "F.relu(-logits)", "the hinge's margin"),
    _losses("F.relu(1 + logits)", "F.relu(1 - logits)", "the hinge's sign for fakes"),
    _losses(
        "return -F.softplus(fake).mean()",
        "return F.softplus(-fake).mean()",
        "minimax is log(1 - D)",
    ),
    _losses("return -fake.mean()", "return fake.mean()", "the generator wants a high logit"),
    _losses(
        "gradient.square().sum(dim=(1, 2, 3)).mean()",
        "gradient.square().mean()",
        "R1 sums over pixels",
    ),
    _losses("(len(images) / len(logits))", "1.0", "R1 of patches is of their mean"),
    _losses("return small.clamp(-1, 1)", "return small", "shrunken images stay in range"),
]

_STANDARD = [
    _conditioning("return (embedding - self.mean) * self.scale", "return embedding * self.scale",
                  "standardised embeddings lie about zero",
                  "test_standardised_embeddings_lie_about_zero_at_one_length"),
    _conditioning("self.scale.copy_(self.LENGTH / distance if", "self.scale.copy_(distance if",
                  "standardised embeddings have one length",
                  "test_standardised_embeddings_lie_about_zero_at_one_length"),
    _conditioning("if distance > 0 else torch.ones(())", "if True else torch.ones(())",
                  "one caption alone can be standardised",
                  "test_one_caption_alone_can_be_standardised"),
    _conditioning("self.layer(self.standard(embedding.float()))", "self.layer(embedding.float())",
                  "generators read standardised embeddings",
                  "test_generators_and_discriminators_read_standardised_embeddings"),
    _critic("self.text(self.standard(embedding))", "self.text(embedding)",
            "discriminators read standardised embeddings",
            "test_generators_and_discriminators_read_standardised_embeddings"),
    _run("for network in (stage.generator, stage.average, *stage.asked):",
         "for network in (stage.generator, stage.average):",
         "the discriminators are told the training captions",
         "test_every_network_of_a_run_is_told_the_training_captions"),
    _run("for network in (stage.generator, stage.average, *stage.asked):",
         "for network in stage.asked:",
         "the generators are told the training captions",
         "test_every_network_of_a_run_is_told_the_training_captions"),
]  # fmt: skip

_NETWORKS = [
    _conditioning(
        "(0.5 * self.log_var).exp()",
        "self.log_var.exp()",
        "sigma, not sigma squared",
        _SAMPLE,
    ),
    _conditioning("return self.mean + (0.5", "return (0.5", "a sample has its mean", _SAMPLE),
    _conditioning(
        "_terms().sum(dim=1).mean()", "_terms().mean()", "the KL sums over dimensions", _KL
    ),
    _conditioning(
        "self.log_var.exp() - 1 - self.log_var",
        "self.log_var.exp() - 1 + self.log_var",
        "the KL's sign",
        _KL,
    ),
    _conditioning("0.5 * self._terms().sum", "self._terms().sum", "the KL's half", _KL),
    _conditioning("log_var = 2 * log_var", "pass", "TF's layer gives log sigma", _KIND),
    _conditioning(
        "4 * torch.tanh(log_var / 4)",
        "4 * torch.tanh(log_var)",
        "the bounded form begins as the identity",
        _KIND,
    ),
    of("fast/up_kernels.py", "tests/networks/test_networks.py")(
        "[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]",
        "[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]",
        "the transposed kernel's taps",
        "test_the_transposed_up_block_is_nearest_then_convolution",
    ),
    _heads(
        "joint = joint + self._of_text(text, features.shape[2:]).to(joint.dtype)",
        "pass",
        "the discriminator reads the text",
        "test_joint_logits_are_the_convolution_over_the_replicated_text",
    ),
    _blocks(
        "return torch.addcmul(bias, self.norm(x), 1 + gain)",
        "return torch.addcmul(bias, self.norm(x), gain)",
        "modulation starts as plain normalisation",
        "test_modulation_starts_as_plain_normalisation",
    ),
    _heads(
        "variance.add(1e-8).sqrt()",
        "variance.add(1e-8)",
        "a deviation, not a variance",
        "test_deviation_is_zero_for_equal_images_and_grows_with_their_difference",
    ),
    _stage1(
        "torch.cat([condition, noise], dim=1)",
        "torch.cat([condition, 0 * noise], dim=1)",
        "Stage-I uses the noise",
        _EVERY_INPUT,
    ),
    _stage1(
        "torch.cat([condition, noise], dim=1)",
        "torch.cat([0 * condition, noise], dim=1)",
        "Stage-I uses the condition",
        _EVERY_INPUT,
    ),
    _stage1(
        "torch.cat([condition, noise], dim=1)",
        "torch.cat([gaussian.mean, noise], dim=1)",
        "Stage-I draws its condition",
        _EVERY_INPUT,
    ),
    _stage1(
        "torch.tanh(self.rgb(x).float())",
        "self.rgb(x).float()",
        "tanh closes Stage-I",
        _IN_RANGE,
    ),
    _stage2(
        "return gaussian, gaussian.sample(self.conditioning.chance(eps))",
        "return gaussian, gaussian.mean",
        "Stage-II draws its condition",
        _EVERY_INPUT,
    ),
    _stage2(
        "self.join(x, condition)",
        "self.join(x, None if condition is None else 0 * condition)",
        "Stage-II reads the caption",
        _EVERY_INPUT,
    ),
    _stage2(
        "return torch.tanh(self.rgb(x).float())",
        "return self.rgb(x).float()",
        "tanh closes the paper's Stage-II",
        _IN_RANGE,
    ),
    _modern(
        "clip(enlarge(sketches, painted.shape[-1]) + painted)",
        "enlarge(sketches, painted.shape[-1]) + painted",
        "a residual picture is clipped",
        _IN_RANGE,
    ),
    _modern(
        "clip(enlarge(sketches, painted.shape[-1]) + painted)",
        "clip(painted)",
        "a residual picture begins as the sketch",
        "test_a_residual_stage2_begins_as_the_enlarged_sketch",
    ),
    _modern(
        "return images + (images.clamp(-1, 1) - images).detach()",
        "return images.clamp(-1, 1)",
        "what overshoots keeps its gradient",
        "test_clipping_keeps_the_gradient_of_what_overshoots",
    ),
    _critic(
        "else self.text(self.standard(embedding))",
        "else self.text(0 * embedding)",
        "the conditional head reads the embedding",
        "test_every_parameter_of_the_discriminators_has_an_effect",
    ),
    _initialise(
        "module.weight.normal_(1.0, 0.02, generator=random)",
        "module.weight.normal_(1.0, 0.02)",
        "a run depends on its seed alone",
        "test_initialising_is_a_function_of_the_seed_alone",
    ),
    _initialise(
        "vector.normal_(generator=random).div_(vector.norm())",
        "pass",
        "spectral normalisation's vectors are drawn from the seed",
        "test_initialising_is_a_function_of_the_seed_alone",
    ),
]

_STEP = [
    _steps(
        "whole = to_images(part.pixels)",
        "whole = to_images(part.pixels).flip(1)",
        "the photographs' channels keep their order",
        _CLOSED_FORM,
    ),
    _steps(
        "stage.generator.conditioning, batch.wrong_embedding)",
        "stage.generator.conditioning, batch.embedding)",
        "the wrong caption is asked about",
        _CLOSED_FORM,
    ),
    _steps(
        "discriminator.conditional(fake_features, text),",
        "discriminator.conditional(fake_features, wrong_text),",
        "a fake is asked about with the caption it was made from",
        _CLOSED_FORM,
    ),
    _variants(
        "loss = weight * graded.total()",
        "loss = graded.total()",
        "the discriminator weighs the head that reads the caption",
        _CLOSED_FORM,
    ),
    _steps(
        "settings.conditional_weight * generator_loss(",
        "generator_loss(",
        "the generator weighs the head that reads the caption",
        _CLOSED_FORM,
    ),
    _variants(
        "loss = loss + unconditional_loss(alone, fake_alone, settings.loss)",
        "pass",
        "the discriminator learns with both heads",
        _CLOSED_FORM,
    ),
    _steps(
        "adversarial = adversarial + generator_loss(alone, settings.loss)",
        "pass",
        "the generator answers to both heads",
        _CLOSED_FORM,
    ),
    _steps(
        "shown = [seen, augment(fake, settings.augment, random)]",
        "shown = [seen, fake]",
        "the discriminator's fakes are augmented",
        "test_whatever_the_discriminator_sees_is_augmented",
    ),
    _steps(
        "features = discriminator.features(augment(fakes.images, settings.augment, random))",
        "features = discriminator.features(fakes.images)",
        "the generator's fakes are augmented",
        "test_whatever_the_discriminator_sees_is_augmented",
    ),
    _made(
        "sketcher.eval().requires_grad_(",
        "sketcher.requires_grad_(",
        "Stage-I's statistics do not move",
        "test_a_frozen_stage1_is_bit_equal_after_two_steps_its_statistics_included",
    ),
    _sketches(
        "with torch.set_grad_enabled(learns), statistics:\n            noise, eps",
        "with torch.set_grad_enabled(learns), statistics, torch.no_grad():\n"
        "            for weight in sketcher.parameters():\n"
        "                weight.mul_(0.999)\n"
        "            noise, eps",
        "Stage-I's weights do not move",
        "test_a_frozen_stage1_is_bit_equal_after_two_steps_its_statistics_included",
    ),
    _steps(
        "loss = settings.kl_weight * kl",
        "loss = 0 * kl",
        "the generator pays the KL",
        "test_each_part_of_the_generators_loss_has_its_weight",
    ),
    _steps(
        "loss = settings.kl_weight * kl",
        "loss = kl",
        "kl_weight weighs the KL",
        "test_each_part_of_the_generators_loss_has_its_weight",
    ),
    _steps(
        "loss = loss + settings.pixel_weight * difference",
        "loss = loss + difference",
        "pixel_weight weighs the pixels",
        "test_each_part_of_the_generators_loss_has_its_weight",
    ),
    _steps(
        "loss = loss + settings.sketch_weight * difference",
        "loss = loss + difference",
        "sketch_weight weighs the sketch",
        "test_each_part_of_the_generators_loss_has_its_weight",
    ),
    of("systems/parts.py", "tests/training/test_steps.py")(
        "judge.requires_grad_(True)",
        "pass",
        "the discriminator goes on learning",
        "test_the_discriminator_keeps_its_gradients_after_the_generator_step",
    ),
    _steps(
        "if settings.r1_weight and stage.step % settings.r1_every == 0:",
        "if settings.r1_weight:",
        "R1 is taken every so many steps",
        "test_r1_has_its_weight_at_its_steps",
    ),
    _steps(
        "0.5 * settings.r1_weight * settings.r1_every * penalty",
        "settings.r1_weight * settings.r1_every * penalty",
        "R1 weighs half of gamma",
        "test_r1_has_its_weight_at_its_steps",
    ),
    _steps(
        "0.5 * settings.r1_weight * settings.r1_every * penalty",
        "0.5 * settings.r1_weight * penalty",
        "R1 weighs for the steps it is left out",
        "test_r1_has_its_weight_at_its_steps",
    ),
    _steps(
        "alone = stage.step < settings.pixel_steps",
        "alone = False",
        "the first steps have pixels alone",
        "test_pixels_alone_leave_the_discriminator_untouched",
    ),
    _ema(
        "weight = 1 - decay",
        "weight = decay",
        "the average moves by one minus its decay",
        "test_the_average_moves_by_one_minus_its_decay",
    ),
    _ema(
        "return min(settings.average, (1 + step) / (10 + step))",
        "return settings.average",
        "the average forgets the start",
        "test_the_average_follows_quickly_at_first",
    ),
    _schedule(
        "step // steps_per_epoch // settings.halve_every_epochs",
        "(step + 1) // steps_per_epoch // settings.halve_every_epochs",
        "the rate halves at the epoch, not a step before",
        _RATES,
    ),
    _schedule("if step > start:", "if step > 0:", "the decay begins where it is told", _RATES),
    _schedule(
        "(settings.steps - step) / (settings.steps - start)",
        "(settings.steps - step - 1) / (settings.steps - start)",
        "the decay is not off by one",
        _RATES,
    ),
    _schedule(
        "(stage.discriminator_optimizer, settings.discriminator_lr),",
        "(stage.discriminator_optimizer, settings.generator_lr),",
        "each optimizer has its own rate",
        "test_rates_reach_both_optimizers",
    ),
    _augment(
        "(torch.arange(height) + shift_y + 1)",
        "(torch.arange(height) + shift_y)",
        "a translation is not off by one",
        "test_translation_moves_by_whole_pixels_and_fills_with_grey",
    ),
    _augment(
        "(rows | columns)",
        "(rows & columns)",
        "a cutout is a square and no cross",
        "test_cutout_blanks_a_square_and_nothing_else",
    ),
]

_RUN = [
    of("files.py", "tests/training/test_run.py")(
        "os.replace(part, path)",
        "path.write_bytes(part.read_bytes())",
        "a checkpoint is written whole or not at all",
        "test_resuming_with_the_kill_inside_a_save",
    ),
    _checkpoint(
        'stage.generator_optimizer.load_state_dict(state["generator_optimizer"])',
        "pass",
        "the generator's optimizer is resumed",
        _RESUMED,
    ),
    _checkpoint(
        'stage.discriminator_optimizer.load_state_dict(state["discriminator_optimizer"])',
        "pass",
        "the discriminator's optimizer is resumed",
        _RESUMED,
    ),
    _checkpoint(
        '_fill(stage.average, state["average"])', "pass", "the average is resumed", _RESUMED
    ),
    _checkpoint(
        "network.load_state_dict(weights, strict=True)",
        "network.load_state_dict(weights, strict=False)",
        "a checkpoint is loaded strictly",
        "test_a_checkpoint_with_an_entry_too_few_or_too_many_is_refused",
    ),
    _checkpoint(
        "weights_only=True",
        "weights_only=False",
        "reading a checkpoint executes nothing",
        "test_reading_a_checkpoint_executes_nothing",
    ),
    _checkpoint(
        "if found != FORMAT:",
        "if False:",
        "another format of checkpoint is refused",
        "test_a_checkpoint_of_another_format_is_named",
    ),
    _loop(
        "    while stage.step < stage.settings.steps:\n"
        "        epoch, index = divmod(stage.step, batches.steps_per_epoch)",
        "    start = stage.step\n"
        "    while stage.step < stage.settings.steps:\n"
        "        epoch, index = divmod(stage.step - start, batches.steps_per_epoch)",
        "the order of the examples goes on after resuming",
        _RESUMED,
    ),
    _loop(
        "epoch, index = divmod(stage.step, batches.steps_per_epoch)",
        "epoch, index = stage.step // batches.steps_per_epoch, 0",
        "a run sees every batch of an epoch",
    ),
    _loop(
        "    while stage.step < stage.settings.steps:\n        epoch",
        "    start = stage.step\n    seed += start\n"
        "    while stage.step < stage.settings.steps:\n        epoch",
        "the random stream goes on after resuming",
        _RESUMED,
    ),
    _loop(
        "step_random(seed, number, stage.step)",
        "step_random(seed, number, 0)",
        "every step draws anew",
    ),
    _loop(
        "step_random(seed, number, stage.step)",
        "step_random(seed, 1, stage.step)",
        "each stage draws anew",
    ),
    _loop(
        "SeedSequence([seed, stage, step])",
        "SeedSequence([stage, step])",
        "a step's chance is the seed's",
    ),
    _loop(
        "if not math.isfinite(value):",
        "if False:",
        "a non-finite loss stops the run",
        "tests/training/test_run.py::"
        "test_a_non_finite_loss_stops_and_keeps_the_last_good_checkpoint",
    ),
    _run(
        'tally = Tally(state["tally"]["sums"], state["tally"]["counts"])',
        "tally = Tally()",
        "the log's means are resumed",
        "test_ctrl_c_saves_and_the_run_goes_on",
    ),
    _run(
        "return tally, stage.step, ",
        "return tally, None, ",
        "the log is kept on resume",
        _RESUMED,
    ),
    _run(
        "    require_finite(tally.means(), stage.step)\n    require_sound(",
        "    require_sound(",
        "no bad checkpoint replaces a good one",
        "test_a_non_finite_loss_stops_and_keeps_the_last_good_checkpoint",
    ),
    _run(
        "if first == steps and number == run.plan.stages[-1]:",
        "if False:",
        "a kill between checkpoint and model folder is mended",
        "test_a_kill_between_checkpoint_and_model_folder_is_mended",
    ),
    _run(
        "or last or interrupted():",
        "or last:",
        "Ctrl-C saves",
        "test_ctrl_c_saves_and_the_run_goes_on",
    ),
    _assemble(
        "None if sketcher is None else sketcher.to(where)",
        "sketcher if sketcher is None else (initialise(sketcher, random), sketcher.to(where))[1]",
        "Stage-II refines the Stage-I that was trained",
        "test_stage2_refines_the_averaged_stage1",
    ),
    _run(
        "average = stage.average if stage.average is not None else stage.generator\n"
        "            projected",
        "average = stage.generator\n            projected",
        "Stage-II refines the averaged Stage-I",
        "test_stage2_refines_the_averaged_stage1",
    ),
    _record(
        'if json.loads(line)["step"] <= step:',
        "if True:",
        "lines after the checkpoint are dropped",
    ),
    _record("if kind not in self._warned:", "if True:", "a warning is said once"),
    _record("if diversity < COLLAPSED_DIVERSITY:", "if False:", "a collapse is told"),
    _record(
        "real > 0.995 and fake < 0.005",
        "real > 0.995",
        "a discriminator that takes fakes for real has not won",
    ),
    _config(
        "for assignment in assignments or []:",
        "for assignment in []:",
        "assignments are read",
    ),
    of("nested.py", "tests/test_config.py")(
        "base[key] = value", "base.setdefault(key, value)", "the later setting wins"
    ),
    _config(
        'ConfigDict(extra="forbid", frozen=True,',
        "ConfigDict(frozen=True,",
        "an unknown setting is refused",
    ),
    _memory("(_MMAP_MAX, 0), ", "", "freed memory is kept"),
    _memory(
        "_ask_for_huge_pages(library)\n    return",
        "pass\n    return",
        "kept memory is of huge pages",
    ),
    _memory("(_TRIM_THRESHOLD, -1), ", "", "nothing is given back"),
]

DEFECTS = [*_LOSSES, *_STANDARD, *_NETWORKS, *_STEP, *_RUN]
