"""Defects of the recipe: heads that read text, side heads, spectrum, crops, told sketches, EMA."""

from __future__ import annotations

from planted.defect import of

_heads = of("systems/projected.py", "tests/systems/test_projected_text.py")
_side = of("systems/side_heads.py", "tests/systems/test_side_heads.py")
_projected_step = of("systems/stackgan/step.py", "tests/training/test_projected_text_step.py")
_projected_loss = of(
    "systems/stackgan/head_losses.py", "tests/training/test_projected_text_step.py"
)
_side_loss = of("systems/stackgan/head_losses.py", "tests/training/test_side_heads_step.py")
_side_step = of("systems/stackgan/step.py", "tests/training/test_side_heads_step.py")
_crop_step = of("systems/stackgan/step.py", "tests/training/test_sketches.py")
_average = of("training/ema.py", "tests/training/test_steps.py")
_sketches = of("systems/stackgan/sketches.py", "tests/training/test_sketches.py")
_spectrum = of("systems/spectrum.py", "tests/training/test_spectrum.py")
_modern = of("systems/stackgan/modern.py", "tests/systems/stackgan/test_told_sketches.py")
_config = of("config.py", "tests/test_config.py")
_hub = of("hub.py", "tests/test_hub.py")
_start = of("training/start.py", "tests/training/test_start_projected.py")
_run = of("training/run.py", "tests/training/test_start_projected.py")

_KNOWN = "test_the_logits_of_known_maps_and_captions"
_ASKED = "test_each_is_asked_with_the_caption_it_is_to_fit"
_CLEAN = "test_the_generator_is_given_worn_sketches_and_told_but_held_to_the_clean_ones"
_KEPT = "test_a_run_keeps_the_projected_heads_of_both_stages"

_HEADS = [
    _heads(
        "self.standard(embedding) / self.standard.LENGTH",
        "embedding / self.standard.LENGTH",
        "projected heads read standardised captions",
        _KNOWN,
    ),
    _heads(
        "(x * code(text)[:, :, None, None])",
        "(0 * x + code(text)[:, :, None, None])",
        "projected heads ask the text of the image",
        "test_the_text_is_asked_of_the_image_not_beside_it",
    ),
    _heads("fits / x.shape[1] ** 0.5", "fits", "a caption weighs as much at every width", _KNOWN),
    _heads(
        "places.float().mean((1, 2, 3))",
        "places.float().amax((1, 2, 3))",
        "a head's logit is the mean over its places",
        _KNOWN,
    ),
    _heads(
        "images.shape[-1] < self.size_px",
        "images.shape[-1] != self.size_px > 0",
        "images larger than size_px enter as they are",
        "test_small_images_are_enlarged_and_large_ones_enter_as_they_are",
    ),
    _heads(
        "images.shape[-1] < self.size_px",
        "False",
        "small images are enlarged",
        "test_small_images_are_enlarged_and_large_ones_enter_as_they_are",
    ),
    _heads(
        "[self.heads] if self.text is None else [self.heads, self.text]",
        "[self.heads]",
        "the text's layer is at rest in the generator's turn",
        "test_heads_and_text_are_trained_and_all_is_kept",
    ),
    _projected_loss(
        "text = embedding if reads else None",
        "text = wrong_embedding if reads else None",
        "real and generated images are judged with their own captions",
        _ASKED,
    ),
    _projected_loss(
        "wrong = projected(maps, wrong_embedding)",
        "wrong = projected(maps, embedding)",
        "a wrong pair has a wrong caption",
        _ASKED,
    ),
    _projected_loss(
        "settings.projected_wrong_weight * called_fake",
        "called_fake",
        "wrong pairs count by their weight",
        "test_the_heads_learn_real_wrong_and_fake_by_their_weights",
    ),
    _projected_step(
        "told = batch.embedding[fakes.pairs :]",
        "told = batch.wrong_embedding[fakes.pairs :]",
        "the generator pays for its own captions",
        _ASKED,
    ),
    _projected_step(
        "return augment(images, stage.settings.augment, random)",
        "return images",
        "real and generated images are augmented for the projected heads",
        "test_real_and_generated_images_are_shown_alike",
    ),
    of("training/assemble.py", "tests/training/test_projected_text_step.py")(
        "        initialise(network, random, settings.initialisation)",
        "        initialise(network, torch.Generator(), settings.initialisation)",
        "projected and side heads begin from the run's seed",
        "test_every_first_weight_is_of_the_run_s_seed",
    ),
    of("training/assemble.py", "tests/training/test_projected_text_step.py")(
        "taps=settings.projected_taps,",
        "",
        "the settings choose the taps",
        "test_the_settings_decide_what_is_assembled",
    ),
    of("training/assemble.py", "tests/training/test_projected_text_step.py")(
        "size_px=settings.projected_px,",
        "",
        "the settings choose the size",
        "test_the_settings_decide_what_is_assembled",
    ),
]

_SIDE = [
    _side(
        "features.whole[:, : self.channels]",
        "features.whole[:, -self.channels :]",
        "a batch deviation is not read",
        "test_a_batch_deviation_s_channel_is_not_read",
    ),
    _side(
        "scores.masked_fill(alike, -1e4)",
        "scores",
        "pairs of one class are left out",
        "test_pairs_of_one_class_are_left_out",
    ),
    _side(
        "F.cross_entropy(scores.T, own)",
        "F.cross_entropy(scores, own)",
        "captions look for their image too",
        "test_pairs_of_one_class_are_left_out",
    ),
    _side(
        "self.of_text(self.standard(embedding))",
        "self.of_text(embedding)",
        "side heads read standardised captions",
        "test_captions_are_read_standardised",
    ),
    _side(
        "if classes > 1 else None",
        "if classes else None",
        "one class is none to tell apart",
        "test_where_there_is_nothing_to_tell_apart_there_is_no_class_head",
    ),
    _side_loss(
        "loss + settings.class_weight * heads.class_loss(",
        "loss + heads.class_loss(",
        "the class counts by its weight",
        "test_discriminator_and_generator_pay_by_the_weight",
    ),
    _side_loss(
        "settings.contrastive_weight * told",
        "told",
        "the caption counts by its weight",
        "test_discriminator_and_generator_pay_by_the_weight",
    ),
    _side_step(
        "        loss = loss + side_loss(stage.side_heads, settings, features, batch)\n    return",
        "        pass\n    return",
        "the discriminator learns class and caption",
        "test_discriminator_and_generator_pay_by_the_weight",
    ),
    _side_step(
        "loss = loss + side\n",
        "pass\n",
        "the generator pays for class and caption",
        "test_discriminator_and_generator_pay_by_the_weight",
    ),
    _side_step(
        "side_loss(stage.side_heads, settings, features, batch)\n    return",
        "side_loss(stage.side_heads, settings, fake_features, batch)\n    return",
        "photographs teach the side heads",
        "test_photographs_teach_the_heads_and_pictures_are_held_to_them",
    ),
    of("data/batches.py", "tests/data/test_batches.py")(
        "self._groups[chosen].astype(np.int64)",
        "np.sort(self._groups[chosen]).astype(np.int64)",
        "labels are the classes of the batch's examples",
        "test_labels_are_the_classes_by_number_and_as_many_as_there_are",
    ),
    of("data/batches.py", "tests/data/test_batches.py")(
        "if None not in classes and len(named) > 1 else 0",
        "if len(named) > 1 else 0",
        "classes are told apart where every example has one",
        "test_without_a_class_for_each_there_are_none_to_name",
    ),
    of("training/checkpoint.py", "tests/training/test_projected_text_step.py")(
        '            _fill(stage.side_heads, state["side_heads"])\n',
        "            pass\n",
        "a checkpoint keeps the side heads",
        "test_four_steps_are_two_a_checkpoint_and_two[1]",
    ),
]

_PEAKS = [
    _spectrum(
        "grey = grey - grey.mean((1, 2), keepdim=True)",
        "pass",
        "a mean has no power",
        "test_a_level_s_mean_has_no_power_and_no_cost",
    ),
    _spectrum(
        "return found / window.square().sum()",
        "return found / window.sum()",
        "white noise has its variance at every frequency",
        "test_white_noise_has_its_variance_at_every_frequency",
    ),
    _spectrum(
        "(ours - allowed).clamp_min(0)",
        "(ours - allowed)",
        "too little power costs nothing",
        "test_photographs_cost_nothing_against_themselves",
    ),
    _spectrum(
        "(found + ROUNDING).log()",
        "(found + 1e-12).log()",
        "power is compared above rounding",
        "test_the_excess_of_a_known_power",
    ),
    _spectrum(
        "(ALLOWED * (reference + ROUNDING)).log()",
        "(reference + ROUNDING).log()",
        "half as much again is allowed",
        "test_the_excess_of_a_known_power",
    ),
    _spectrum(
        "else torch.lerp(now, self.seen, KEPT)",
        "else now",
        "a single batch pushes nothing down",
        "test_one_batch_of_photographs_pushes_nothing_down",
    ),
    _spectrum(
        "torch.lerp(now, self.seen, KEPT)",
        "torch.lerp(self.seen, now, KEPT)",
        "the running power is the mean of the last batches",
        "test_the_running_power_is_the_mean_of_the_last_batches",
    ),
    _spectrum(
        "excess(self.seen + (newest - now), self.reference)",
        "excess(self.seen + (1 - KEPT) * (newest - now), self.reference)",
        "the newest batch takes the whole gradient",
        "test_the_newest_batch_takes_the_whole_gradient",
    ),
    of("training/checkpoint.py", "tests/training/test_projected_text_step.py")(
        'stage.spectrum.seen = _power_seen(stage.spectrum, state.get("spectrum"))',
        "pass",
        "a checkpoint keeps the running power",
        "test_four_steps_are_two_a_checkpoint_and_two[1]",
    ),
    _spectrum(
        "power(to_images(part)) * len(part)",
        "power(to_images(part)) * 64",
        "the reference does not know how it is split",
        "test_the_reference_does_not_know_how_it_was_split",
    ),
    of("training/prepare.py", "tests/training/test_spectrum.py")(
        "reference_power(pixels) * len(pixels)",
        "reference_power(pixels)",
        "the photographs' power is a mean over them",
        "test_the_photographs_power_is_that_of_whole_batches_of_the_first_epoch",
    ),
    of("training/prepare.py", "tests/training/test_spectrum.py")(
        "        if crop_px:\n",
        "        if False:\n",
        "the power is of crops where crops are judged",
        "test_the_photographs_power_is_of_crops_where_crops_are_judged",
    ),
    of("systems/stackgan/step.py", "tests/training/test_spectrum.py")(
        "loss + settings.spectrum_weight * too_much",
        "loss + too_much.detach()",
        "the generator pays for its spectrum",
        "test_the_generator_pays_for_its_own_excess_by_the_weight",
    ),
]

_CROPS = [
    _sketches(
        "(scale * self.corners).tolist()",
        "self.corners.tolist()",
        "pictures are cropped where their sketches are",
        "test_a_picture_is_cropped_where_its_sketch_is",
    ),
    _sketches(
        "image[:, top : top + side, left : left + side]",
        "image[:, left : left + side, top : top + side]",
        "corners are top and left",
        "test_a_picture_is_cropped_where_its_sketch_is",
    ),
    _sketches(
        "SKETCH_PX - side + 1, (batch, 2)",
        "SKETCH_PX - side, (batch, 2)",
        "crops reach the last place",
        "test_all_places_are_equally_likely_and_the_borders_are_reached",
    ),
    _crop_step(
        "View(whole, crops.of_pictures(whole), crops)",
        "View(whole, crops.of_pictures(whole.flip(0)), crops)",
        "the photograph is cropped where its sketch is",
        "test_a_step_judges_the_crops_of_which_the_generator_refines_the_sketches",
    ),
    _crop_step(
        "view.crop(to_images(batch.wrong_pixels))",
        "to_images(batch.wrong_pixels)",
        "other photographs are cropped too",
        "test_other_photographs_are_cropped_too",
    ),
    _crop_step(
        "    if not stage.crop_px:\n        return View(whole, whole, None)",
        "    torch.rand(1, generator=random)\n    if not stage.crop_px:\n"
        "        return View(whole, whole, None)",
        "whole pictures draw what they drew before there were crops",
        "test_whole_pictures_draw_what_they_drew_before_there_were_crops",
    ),
    of("systems/stackgan/build.py", "tests/systems/stackgan/test_told_sketches.py")(
        "a.crops_px or a.image_px",
        "a.image_px",
        "the discriminator is built for crops",
        "test_a_crop_is_painted_as_many_times_its_side",
    ),
    of("evaluation/bench/setup.py", "tests/evaluation/test_bench.py")(
        '.model_copy(update={"crop_px": 0})',
        "",
        "the bench times whole pictures",
        "test_a_model_trained_on_crops_is_timed_on_whole_pictures",
    ),
]

_WORN = [
    _sketches(
        "settings.sketch_noise * amount * noise",
        "settings.sketch_noise * noise",
        "noise has the deviation that is told",
        "test_noise_has_the_deviation_that_is_told",
    ),
    _sketches(
        "settings.sketch_blur * blur[:, 0, 0, 0]",
        "settings.sketch_blur + 0 * blur[:, 0, 0, 0]",
        "a sketch told of no blur has none",
        "test_strengths_of_nothing_leave_a_sketch_as_it_is",
    ),
    _sketches(
        "in_own_precision(sketches.device.type)",
        "torch.autocast(sketches.device.type, torch.bfloat16, "
        'enabled=torch.is_autocast_enabled("cpu"))',
        "a clean sketch stays clean in bf16",
        "test_strengths_of_nothing_leave_a_sketch_as_it_is",
    ),
    _sketches(
        'mode="reflect"',
        'mode="constant"',
        "a constant image stays constant",
        "test_a_constant_image_stays_constant_under_any_blur",
    ),
    _sketches(
        "(-0.5 * (places / spread).square())",
        "(-(places / spread).square())",
        "blur is the Gaussian that is told",
        "test_blur_is_the_gaussian_that_is_told",
    ),
    _sketches(
        "repeat_interleave(colours, 0)",
        "repeat(colours, 1)",
        "each image has its own blur",
        "test_colours_and_images_are_blurred_apart",
    ),
    _crop_step(
        "even[:, 2:] > 0.25",
        "even[:, 2:] >= 0",
        "one sketch in four is left clean",
        "test_strengths_are_drawn_evenly_and_a_quarter_is_left_clean",
    ),
    _crop_step(
        "(1 + torch.erf(drawn(3) / 2**0.5))",
        "(1 + torch.erf(drawn(3)))",
        "strengths are drawn evenly",
        "test_strengths_are_drawn_evenly_and_a_quarter_is_left_clean",
    ),
    _crop_step(
        " * carried  #",
        "  #",
        "what is not put on is told as none",
        "test_what_a_run_does_not_put_on_is_told_as_none",
    ),
    _crop_step(
        "return Fakes(images, gaussian, sketches, pairs)",
        "return Fakes(images, gaussian, worn.sketches, pairs)",
        "pictures are held to the clean sketch",
        _CLEAN,
    ),
    _crop_step(
        "generator(worn.sketches, embedding, eps, worn.strengths)",
        "generator(worn.sketches, embedding, eps, worn.strengths.flip(1))",
        "the generator is told what it is given",
        _CLEAN,
    ),
    _modern(
        "strengths.to(sketches)[:, :, None, None]",
        "strengths.to(sketches).flip(1)[..., None, None]",
        "noise is told before blur",
        "test_the_first_layer_reads_the_colours_and_a_plane_for_each_strength",
    ),
    _modern(
        "strengths = sketches.new_zeros(batch, 2)",
        "strengths = sketches.new_ones(batch, 2)",
        "told of nothing is told of none",
        "test_sampling_tells_nothing_and_is_as_told_of_none",
    ),
]

_HALF = "test_a_half_life_halves_an_images_share_in_so_many_images"
_RAMP = "test_the_half_life_is_no_more_than_the_ramps_share_of_the_images_so_far"

_AVERAGES = [
    _average("0.5 ** (batch / max(", "0.5 ** (1 / max(", "a half-life is in images", _HALF),
    _average(
        "images = min(images, settings.average_ramp",
        "images = max(images, settings.average_ramp",
        "an early average is of late weights",
        _RAMP,
    ),
    _average(
        "max(images, 10.0 * batch)",
        "max(images, batch)",
        "a half-life is never under ten steps",
        _RAMP,
    ),
    _config(
        "return self.average > 0 or self.average_half_life > 0",
        "return self.average > 0",
        "a half-life makes an average",
        "test_there_is_an_average_where_either_setting_asks",
    ),
    _config(
        "if self.average and self.average_half_life:",
        "if False:",
        "two running averages are refused",
        "test_a_wrong_setting_is_one_sentence",
    ),
    _config(
        "if reads and self.projected_wrong_weight",
        "if False and self.projected_wrong_weight",
        "own captions are no wrong ones",
        "test_a_wrong_setting_is_one_sentence",
    ),
    _config(
        "if reads and self.projected_wrong_weight",
        "if self.projected_wrong_weight",
        "what does not act is not refused",
        "test_what_does_not_act_is_not_refused",
    ),
    _config(
        "self.crop_px if self.crop_px < self.image_px else 0",
        "self.crop_px",
        "pictures no larger than crops are seen whole",
        "test_pictures_no_larger_than_the_crops_are_seen_whole",
    ),
    _config(
        "if self.wordings_share and self.captions_per_image > 1:",
        "if False:",
        "wordings are not averaged",
        "test_a_wrong_setting_is_one_sentence",
    ),
]

_FOLDERS = [
    _hub(
        "file = PROJECTED if stage == self.last_stage else STAGE1_PROJECTED",
        "file = PROJECTED if stage == 2 else STAGE1_PROJECTED",
        "a sketcher's projected weights are Stage-I's",
        "test_a_sketcher_s_projected_weights_are_stage_1_s",
    ),
    _hub(
        "states[STAGE1_PROJECTED] = stage1_projected",
        "states[STAGE1_PROJECTED] = projected",
        "each stage has its own projected weights",
        "test_projected_weights_of_both_stages_travel_and_older_folders_have_none",
    ),
    _start(
        "    network.load_state_dict(weights)\n    return True",
        "    return True",
        "projected weights are taken over",
        "test_the_projected_heads_are_taken_over_to_the_bit_and_it_is_said",
    ),
    _start(
        "        return False\n    network.load",
        "        pass\n    network.load",
        "projected weights of other sizes begin anew",
        "test_heads_of_other_sizes_begin_anew_whole_and_it_is_said",
    ),
    _start(
        '            names.append("projected discriminator")\n',
        "            pass\n",
        "it is said that projected weights are taken over",
        "test_the_projected_heads_are_taken_over_to_the_bit_and_it_is_said",
    ),
    _start(
        "discriminator, model.projected_weights(1))",
        "discriminator)",
        "Stage-I's projected weights go with it",
        "test_stage1_s_heads_go_with_it_into_a_model_of_both_stages",
    ),
    _run(
        "stage1_projected=before.projected,", "", "a run keeps Stage-I's projected weights", _KEPT
    ),
    _run(
        "projected=None if stage.projected is None else stage.projected.state_dict(),",
        "",
        "a run keeps the last stage's projected weights",
        _KEPT,
    ),
]

DEFECTS = [*_HEADS, *_SIDE, *_PEAKS, *_CROPS, *_WORN, *_AVERAGES, *_FOLDERS]
