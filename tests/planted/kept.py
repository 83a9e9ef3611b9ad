"""Defects of pictures that are kept, of memory that runs out and of what is handed on unchecked."""

from __future__ import annotations

from planted.defect import of

_KEPT, _TOLD, _NEW = (f"tests/cli/test_{name}.py" for name in
                      ("nothing_replaced", "no_traceback", "newcomer"))  # fmt: skip
_result = of("result.py", _KEPT)
_pipeline = of("pipeline.py", _KEPT)
_generate = of("cli/generate.py", _KEPT)
_interpolate = of("cli/interpolate.py", _KEPT)
_memory = of("memory.py", _TOLD)
_shortage = of("training/shortage.py", _TOLD)
_main = of("cli/main.py", _TOLD)
_options = of("cli/options.py", _TOLD)
_config = of("config.py", _TOLD)
_devices = of("pipeline.py", _TOLD)
_devices = of("devices.py", _TOLD)
_arguments = of("arguments.py", _KEPT)
_protocol = of("evaluation/protocol.py", _TOLD)
_encoder = of("cli/encoder.py", "tests/cli/test_encoder_verb.py")
_preset = of("presets/authors-pt.toml", "tests/training/test_authors_pt.py")
_train = of("cli/train.py", _NEW)
_run = of("training/run.py", _NEW)

_RANGES = "test_numbers_out_of_range_are_answered_at_once_in_one_sentence"
_LINES = "test_words_handed_on_are_one_sentence_and_nothing_is_written"

DEFECTS = [
    _result("if free and _write(place, data):", "if _write(place, data):",
            "a picture of another caption stays",
            "test_captions_that_share_a_name_keep_a_picture_each"),
    _result("free = _holds(place, data) or not os.path.lexists(place)",
            "free = not os.path.lexists(place)", "a picture drawn again keeps its one file",
            "test_a_picture_drawn_again_keeps_its_one_file"),
    _result("not os.path.lexists(place)", "not place.exists()", "a broken link stays",
            "test_a_photograph_and_a_broken_link_of_that_name_stay"),
    _result("os.link(part, path)", "os.replace(part, path)", "a name taken meanwhile stays",
            "test_a_name_taken_between_the_look_and_the_writing_is_not_replaced"),
    _result("(errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EOPNOTSUPP)", "()",
            "disks without hard links take pictures",
            "test_a_disk_without_hard_links_takes_pictures"),
    _generate("    say_kept(out, path)\n", "", "another name than --out's is said",
              "test_a_named_file_that_is_another_picture_stays_and_the_new_one_is_named"),
    _interpolate('answer(str(written), {"file": str(written)',
                 'answer(str(path), {"file": str(path)', "a walk tells the file it wrote",
                 "test_grids_and_rows_stay_too"),
    _generate("        for part in parts:\n", "        for part in list(parts):\n",
              "each picture is written as it is drawn",
              "test_a_picture_is_written_before_the_next_is_drawn"),
    _generate("        if paths:\n            say(", "        if not paths:\n            say(",
              "what is kept is counted", "test_what_is_drawn_before_a_stop_is_kept_and_counted"),
    _pipeline("        return self._parts(captions, num_images, seed, stage, truncation, best_of, "
              "progress)",
              "        return iter(list(self._parts(captions, num_images, seed, stage, truncation, "
              "best_of, progress)))",
              "a stream draws what is taken", "test_a_stream_draws_only_what_is_taken"),
    _pipeline("[captions[place // num_images] for", "[captions[place % len(captions)] for",
              "a stream goes caption by caption", "test_a_stream_is_the_call_a_few_at_a_time"),
    _arguments("if captions * many * of > MOST:", "if many > MOST:",
              "all pictures of a call are counted", _RANGES),
    _generate("if len(asked) * num_images > IN_A_GRID:", "if False:",
              "a grid has an end", _RANGES),
    _arguments("isinstance(value, bool) or not isinstance(value, Integral)", "False",
              "a seed is a whole number", "test_what_is_no_whole_number_is_said"),
    _arguments("(needed := 2 * 3 * side_px**2 * count) > machine / 2", "(needed := 0) > machine",
              "what memory does not hold is refused",
              "test_more_pictures_at_once_than_memory_holds_are_refused"),
    _memory('"can\'t allocate memory",', "", "torch's shortage on a CPU is one",
            "test_memory_that_runs_out_is_a_sentence_with_what_takes_less"),
    _memory("isinstance(error, RuntimeError | ImportError) and any(", "any(",
            "other errors keep their kind", "test_other_errors_are_no_shortage_of_memory",
            "test_memory_that_runs_out_is_a_sentence_with_what_takes_less"),
    _shortage("if batch % count == 0", "if True", "the parts advised are equal",
              "test_the_parts_that_are_advised_are_ones_that_settings_take"),
    _shortage('settings.recompute != "all"', "True", "what is on is not advised",
              "test_the_parts_that_are_advised_are_ones_that_settings_take"),
    _main("    _open_closed_streams()\n", "", "closed streams end quietly",
          "test_standard_streams_that_are_closed_end_quietly"),
    _main("if option := _without_value(arguments):", "if False and (option := ''):",
          "an empty value is refused", _LINES),
    _main('if option == "--":', "if False:", "after two hyphens nothing is an option",
          "test_a_caption_may_still_be_empty_after_two_hyphens_and_is_said_so"),
    _main("2 if error.errno in _WRONG_NAME else 1", "1", "a name too long is wrong use", _LINES),
    _options("        max=1024,\n", "", "threads have an end", _LINES),
    _options("    if out.is_dir():\n        raise InputError(f\"--out {out} is a folder; give a "
             "file's name\")\n", "", "a report's place is looked at before the work", _LINES),
    _config(", allow_inf_nan=False", "", "settings are finite",
            "test_numbers_that_torch_would_refuse_are_refused_by_name"),
    _config("    refuse_huge(values)\n", "", "settings fit torch's numbers",
            "test_numbers_that_torch_would_refuse_are_refused_by_name"),
    _config("Field(0, ge=0, lt=2**62)", "Field(0, ge=0)", "a run's seed fits torch's",
            "test_numbers_that_torch_would_refuse_are_refused_by_name"),
    _devices("int(number) >= (count := torch.cuda.device_count())",
             "int(number) > (count := torch.cuda.device_count())", "a card that is not there",
             "test_a_card_that_is_not_there_is_said_with_those_that_are"),
    _devices('kind == "cuda" and re.fullmatch', "re.fullmatch", "a processor has no number",
             "test_devices_that_are_none_are_told_from_those_that_are_missing"),
    _protocol("* min(copies, count - place)", "* copies", "copies end with the pictures",
              "test_more_copies_than_pictures_are_so_many_pictures"),
    _encoder("        batch=batch,\n", "", "the batch asked for is trained with",
             "test_train_takes_the_batch_and_the_rate"),
    _encoder("        learning_rate=learning_rate,\n", "", "the rate asked for is trained with",
             "test_train_takes_the_batch_and_the_rate"),
    _preset('precision = "fp32"', 'precision = "auto"', "presets of last bits hold off bf16",
            "test_the_command_s_first_losses_are_the_recorded_ones_on_a_processor_with_bf16"),
    _preset('arithmetic = "literal"', 'arithmetic = "fast"', "presets of last bits compute plainly",
            "test_presets_of_last_bits_compute_plainly_and_in_float32_throughout"),
    _train('all(name.startswith("ablation-")', 'any(name.startswith("no-ablation-")',
           "a row of the ablation stands on a preset",
           "test_a_row_of_the_ablation_alone_is_refused_with_what_goes_before"),
    _run("taken over from {source}; none is trained", "", "an encoder taken over is named",
         "test_a_run_from_a_model_says_that_it_trains_no_encoder"),
]  # fmt: skip
