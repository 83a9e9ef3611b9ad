"""Defects of pixels, sampling, files and the command line."""

from __future__ import annotations

from planted.defect import of

_tensors = of("tensors.py", "tests/test_tensors.py")
_fold = of("inference/fold.py", "tests/inference/test_fold.py")
_pipeline = of("pipeline.py", "tests/test_pipeline.py")
_pil = of("pil.py", "tests/test_pipeline.py")
_result = of("result.py", "tests/test_pipeline.py")
_hub = of("hub.py", "tests/test_hub.py")
_folder = of("model_folder.py", "tests/test_hub.py")
_files = of("files.py", "tests/test_hub.py")
_report = of("evaluation/report.py", "tests/evaluation/test_report.py")
_main = of("cli/main.py", "tests/cli/test_main.py")
_options = of("cli/options.py", "tests/cli/test_generate.py")

DEFECTS = [
    _tensors(".round_()", ".trunc_()", "levels are rounded, not truncated"),
    _tensors(".clamp_(0, 255)", "", "what lies outside is clipped, not wrapped"),
    _tensors(".mul_(127.5).round_()", ".mul_(128).round_()", "every level survives"),
    _tensors(".div_(127.5).sub_(1.0)", ".div_(128).sub_(1.0)", "white is exactly 1"),
    _tensors("images.to(torch.float32).add(1.0)", "images.add_(1.0)", "the input is left alone"),
    _fold("norm.running_var + norm.eps", "norm.running_var + 0.1", "folding keeps eps"),
    _fold("torch.rsqrt(", "torch.reciprocal(", "BN divides by sigma, not by sigma squared"),
    _fold("shift = -norm.running_mean * gain", "shift = -norm.running_mean", "the mean is scaled"),
    _fold("+ layer.bias * gain", "+ layer.bias", "a layer's own bias is scaled"),
    _fold("and id(layer) not in kept", "", "conditioning stays float32"),
    _fold("module.eval()", "module", "a folded network is in evaluation mode"),
    _pipeline(
        "manual_seed(seed)",
        "manual_seed(0)",
        "the seed matters",
        "test_caption_and_seed_both_matter",
    ),
    _pipeline(
        "seeds = [seed + place % num_images for place in places]",
        "seeds = [seed + place for place in places]",
        "every caption starts at the seed",
        "test_picture_i_has_seed_plus_i_whatever_is_drawn_with_it",
    ),
    _pipeline(
        "random = torch.Generator().manual_seed(seed)",
        "random = torch.default_generator.manual_seed(seed)",
        "nothing seeds globally",
        "test_nothing_outside_is_seeded_or_consumed",
    ),
    _pipeline(
        "images = self._stage1(embedding[part], chance.noise[part], chance.eps1[part])",
        "images = self._stage1(embedding[part], 0 * chance.noise[part], chance.eps1[part])",
        "the noise is used",
        "test_noise_and_both_eps_are_drawn_in_order_and_all_used",
    ),
    _pipeline(
        "chance.noise[part], chance.eps1[part]",
        "chance.noise[part], chance.eps2[part]",
        "the sketch's eps is eps1",
        "test_noise_and_both_eps_are_drawn_in_order_and_all_used",
    ),
    _pipeline(
        "embedding[part], chance.eps2[part]",
        "embedding[part], chance.eps1[part]",
        "the picture's eps is eps2",
        "test_noise_and_both_eps_are_drawn_in_order_and_all_used",
    ),
    _pipeline(
        "self._stage2(images, embedding[part], chance",
        "self._stage2(images.flip(1), embedding[part], chance",
        "the sketch's channels keep their order on the way to Stage-II",
        "test_folded_and_lower_precision_pictures_are_close_to_the_plain_networks",
    ),
    _pipeline(
        "rows = {caption: self.encoder.encode([caption]) for caption in dict.fromkeys(captions)}",
        "rows = dict(zip(captions, self.encoder.encode(captions).split(1), strict=True))",
        "an embedding knows no other caption",
        "test_an_embedding_knows_no_other_caption",
    ),
    _pipeline(
        "size = 1 << min(size, 8).bit_length() - 1",
        "pass",
        "pictures pass in powers of two",
        "test_on_a_cpu_pictures_pass_in_powers_of_two",
    ),
    _pipeline(
        "return ask_alone(pack(network)) if",
        "return pack(network) if",
        "a picture knows no other picture",
        "tests/inference/test_packed.py::test_where_there_is_no_onednn_networks_stay_and_draw_the_same",
    ),
    _pipeline(
        "module.literal = False  # the same",
        "pass  # the same",
        "what trains literally samples fast",
        "test_what_trains_literally_samples_fast",
    ),
    _pipeline("truncation * part for", "part for", "truncation narrows", "test_truncation_narrows"),
    _pipeline(
        "truncation = self.truncation if truncation is None else truncation",
        "truncation = 1.0 if truncation is None else truncation",
        "without a truncation the model's own is used",
        "test_without_a_truncation_the_model_s_own_is_used",
    ),
    _pipeline(
        "truncation = self.truncation if truncation is None else truncation",
        "truncation = truncation or self.truncation",
        "a truncation of zero is one",
        "test_without_a_truncation_the_model_s_own_is_used",
    ),
    _pipeline(
        "batch: int | None = None,\n        truncation: float | None = 1.0,\n"
        "        progress: Progress | None = None,\n    ) -> Pixels:",
        "batch: int | None = None,\n        truncation: float | None = None,\n"
        "        progress: Progress | None = None,\n    ) -> Pixels:",
        "what is drawn in bulk is drawn without truncation",
        "test_what_is_drawn_in_bulk_knows_no_truncation",
    ),
    _pipeline(
        "0.0 if seed is None else self.truncation",
        "0.0 if seed is None else 1.0",
        "an interpolation is truncated as a call is",
        "test_a_model_s_own_truncation_holds_for_refine_and_interpolate",
    ),
    _folder(
        "not 0 <= found < math.inf",
        "not found < math.inf",
        "a model's truncation is checked",
        "test_a_truncation_that_is_none_is_refused",
    ),
    _hub(
        '{"sampling": {"truncation": truncation}}',
        "{}",
        "a model's truncation travels",
        "test_a_truncation_travels_in_the_folder",
    ),
    _report(
        "truncation=1.0, progress",
        "truncation=None, progress",
        "scores know no truncation",
        "test_scores_are_taken_without_the_model_s_truncation",
    ),
    _pipeline(
        "torch.cat([rows[caption] for caption in captions])",
        "torch.cat([rows[caption] for caption in sorted(captions)])",
        "captions in order",
        "test_refine_takes_tensors_and_a_caption_for_each",
        "test_interpolation_steps_are_even_in_the_embedding",
    ),
    _pipeline(
        "self.encoder.encode([caption]) for",
        "0 * self.encoder.encode([caption]) for",
        "the caption matters",
        "test_caption_and_seed_both_matter",
    ),
    _pipeline(
        "torch.linspace(0, 1, steps",
        "torch.linspace(0, 0.9, steps",
        "both ends are drawn",
        "test_the_ends_of_an_interpolation_are_plain_generations",
    ),
    _pipeline(
        "0.0 if seed is None else self.truncation",
        "self.truncation",
        "without a seed an interpolation has no chance",
        "test_without_a_seed_interpolation_has_no_chance_at_all",
    ),
    _pipeline(
        "self.chance(seeds, self.truncated(truncation)).eps2",
        "self.chance(seeds, self.truncated(truncation)).eps1",
        "refine's eps is the call's",
        "test_refining_the_sketches_of_a_call_gives_its_pictures",
    ),
    _pil(
        "array in arrays]",
        "array in arrays[:, :, ::-1].copy()]",
        "nothing is mirrored",
        "test_refining_the_sketches_of_a_call_gives_its_pictures",
        "test_the_ends_of_an_interpolation_are_plain_generations",
    ),
    _pil(
        '"RGB"))).permute(2, 0, 1)',
        '"RGB"))).permute(2, 1, 0)',
        "rows are not columns",
        "test_refining_the_sketches_of_a_call_gives_its_pictures",
    ),
    _pil(
        "if image.size != (SKETCH_PX, SKETCH_PX)",
        "if False",
        "the size of each image is read",
        "test_refine_says_what_it_cannot_use",
    ),
    _result(
        '"seed": str(self.seeds[index])',
        '"seed": str(self.seeds[0])',
        "each PNG has its seed",
        "test_every_png_tells_caption_seed_model_and_version",
    ),
    _result(
        '"caption": self.captions[index]',
        '"caption": self.captions[0]',
        "each PNG has its own caption",
        "test_every_png_tells_caption_seed_model_and_version",
    ),
    _result(
        "part.write_bytes(data)",
        "path.open('wb').write(data)\n        part.write_bytes(data)",
        "a PNG is written whole or not at all",
        "test_a_failed_save_leaves_the_older_picture_and_no_scratch",
    ),
    _result(
        "self._next[stem] = number + 1",
        "pass",
        "no file is written twice",
        "test_file_names_are_safe_and_never_twice_the_same",
    ),
    _result(
        "pair.paste(sketch.resize((side, side)",
        "pair.paste(picture.resize((side, side)",
        "the sketch stands beside its picture",
        "test_the_sketch_stands_beside_its_picture",
    ),
    _result(
        "y = top + len(text) * LINE_PX",
        "y = top",
        "labels lie over no picture",
        "test_a_grid_holds_every_picture_and_its_labels",
    ),
    _folder(
        "if found != expected",
        "if False",
        "a damaged file is named",
        "test_a_damaged_file_is_named",
    ),
    _hub(
        "if wanted.get(key) != found.get(key)",
        "if False",
        "weights are loaded strictly",
        "test_weights_are_loaded_strictly",
    ),
    _hub(
        "path.chmod(0o644)",
        "pass",
        "others may read a model",
        "test_everyone_may_read_a_model",
    ),
    _hub(
        "dtype if value.dim() > 1 else torch.float32",
        "dtype",
        "statistics stay float32",
        "test_kernels_are_stored_in_bf16_and_statistics_in_float32",
    ),
    _hub(
        '({} if stage2 is None else {"stage2": stage2})',
        '({} if stage2 is None else {"stage2": stage1})',
        "Stage-II travels",
        "test_every_weight_of_both_stages_travels",
    ),
    _hub(
        "network.eval().requires_grad_(False)",
        "network.eval()",
        "a loaded model is frozen",
        "test_a_loaded_model_is_frozen_float32_and_in_evaluation_mode",
    ),
    _folder(
        "if found != FORMAT",
        "if False",
        "another format is refused",
        "test_a_config_of_another_kind_is_refused",
    ),
    _files(
        "        if path.exists():\n            os.replace(path, old)",
        "        if path.exists():\n            shutil.rmtree(path)",
        "a kill between the renames loses nothing",
        "test_a_kill_between_the_renames_of_a_save_loses_nothing",
    ),
    _hub(
        '**config.get("scores", {}), **scores',
        "**scores",
        "scores are merged",
        "test_scores_are_merged_and_the_model_still_loads",
    ),
    _main(
        "return _say(str(error), error.exit_code)",
        "return _say(str(error), 1)",
        "wrong input is exit 2",
        "test_errors_become_sentences_and_codes",
    ),
    _main(
        "if code == INTERRUPTED:",
        "if False:",
        "an interruption is told in a sentence",
        "test_errors_become_sentences_and_codes",
    ),
    _main(
        'reason = "no space is left on the disk"',
        'reason = "failed"',
        "a full disk is named",
        "test_errors_become_sentences_and_codes",
    ),
    _options(
        " if line]",
        "]",
        "empty lines are no captions",
        "test_a_captions_file_may_have_bom_crlf_and_empty_lines",
    ),
    _options(
        "if out.suffix.lower() in PICTURES",
        "if False",
        "a .jpg is refused",
        "test_what_cannot_be_done_is_one_sentence_and_nothing_is_written",
    ),
]
