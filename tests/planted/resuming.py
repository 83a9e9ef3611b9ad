"""Defects of going on with a run, of what is said before it begins, and of optional packages."""

from __future__ import annotations

from planted.defect import of

_RESUME = "tests/training/test_resume.py"
_TRAINABLE = "tests/training/test_trainable.py"
_PREPARED = "tests/training/test_prepared.py"
_inputs = of("training/inputs.py", _RESUME)
_changes = of("training/resume.py", _RESUME)
_run = of("training/run.py", _RESUME)
_plan = of("training/plan.py", _RESUME)
_lock = of("training/lock.py", _RESUME)
_loop = of("training/loop.py", _RESUME)
_train = of("cli/train.py", _RESUME)
_files = of("files.py", "tests/test_files.py")
_trainable = of("training/trainable.py", _TRAINABLE)
_check = of("data/check.py", _TRAINABLE)
_prepared = of("training/prepared.py", _PREPARED)
_cache = of("data/cache.py", _PREPARED)
_optional = of("optional.py", "tests/test_optional.py")
_record = of("training/record.py", "tests/test_optional.py")
_prepare = of("training/prepare.py", "tests/test_optional.py")

_OTHER = "test_other_data_under_the_same_root_is_refused_by_what_differs"
_LEFT = "test_a_whole_save_removes_what_a_kill_left_of_the_same_file"
_KEPT = "test_a_whole_save_leaves_what_is_no_left_over_of_it"
_FIXED = "test_what_a_run_cannot_change_is_refused_and_changes_nothing"
_NAN = "test_the_way_out_of_a_loss_that_is_no_number_is_one"
_NAMED = "test_what_cannot_be_trained_on_is_named_three_times_before_anything_is_done"
_VAIN = "test_what_a_training_asks_for_in_vain_is_named_before_anything_is_done"
_UNUSED = "test_a_prepared_cache_that_cannot_be_used_is_named_with_the_reason"
_BOARD = "test_a_broken_tensorboard_costs_one_sentence_and_nothing_else"
_IN_USE = "test_a_folder_in_use_refuses_a_second_process_by_the_firsts_number"

_READ = [
    _run("if begun is not None and kept_inputs(begun) is not None:", "if False:",
         "a dry run of a run that goes on refuses other data",
         "tests/training/test_resume.py::test_a_dry_run_of_a_run_that_goes_on_refuses_the_same"),
    _inputs("    found = difference(before, now, plan)\n", "    found = None\n",
            "other data under the same root is refused", _OTHER),
    _inputs("_digest(example.captions))", "_digest([]))", "other captions are refused", _OTHER),
    _inputs("example.image.stat().st_size", "len(example.captions)",
            "another file under the same name is refused", _OTHER),
    _inputs("Read(name, size, _digest(about), ", 'Read(name, size, "", ',
            "other classes are refused", _OTHER),
    _inputs("if gone := [", "if gone := [] and [", "what is gone is named", _OTHER),
    _inputs('"stage1": _model_digest(plan.stage1)', '"stage1": None',
            "another Stage-I is refused", "test_another_model_at_the_same_place_is_refused"),
    _inputs("None if encoder is None else encoder.sha256", "None",
            "another encoder is refused", "test_another_encoder_at_the_same_place_is_refused"),
    _run('if state.get("encoder", run.encoder.sha256) != run.encoder.sha256:', "if False:",
         "another encoder than the checkpoint's is refused",
         "test_another_own_encoder_is_refused_by_the_checkpoint"),
    _inputs("inside[0].relative_to(inside[1]) if below else inside[0]", "inside[0]",
            "moved data is the same data",
            "test_data_that_was_moved_is_found_by_root_and_gives_the_same_bits"),
    _run("return list(inputs.sheet) or ", "return ", "the sheets' captions stay",
         "test_the_sheets_show_the_same_captions_whatever_becomes_of_the_test_split"),
]  # fmt: skip

_CHANGED = [
    _run('        write_json(run / "settings.json", plan.as_json())\n    return list',
         "    return list", "a change is kept",
         "test_rates_and_more_steps_are_taken_kept_and_said"),
    _run("        tell(kept, plan, run, say)\n", "", "a change of the weights is said",
         "test_rates_and_more_steps_are_taken_kept_and_said"),
    _changes("if not of_stage and name not in", "if False and name not in",
             "what is fixed at the start is refused", _FIXED),
    _changes('if table == "stage1" and 2 in', 'if table == "stage0" and 2 in',
             "a stage that another was built upon stays", _FIXED),
    _changes("    if done > asked:", "    if False:", "steps are not taken back", _FIXED),
    _changes("if getattr(plan, name) is None:", "if False:",
             "a run gets no model that it had not at the start", _FIXED),
    _train('"stage": stage, "config"', '"config"', "--stage with --resume is refused", _FIXED),
    _loop("        if not largest < MOST_WEIGHT:", "        if False:",
          "no checkpoint is of weights that no rate mends", _NAN),
    _changes("min(2e-4, getattr(settings, name) / 4)", "getattr(settings, name) / 4",
             "the rates that are advised are ones that learn", _NAN),
    _run("at_once = slowed and", "at_once = False and", "no rate is advised that was tried in vain",
         "test_where_lower_rates_were_tried_in_vain_a_new_run_is_advised"),
    _plan("    for name in TRAINED:\n        if (run / name).exists():\n            raise",
          "    for name in ():\n        if (run / name).exists():\n            raise",
          "trained networks without settings are no new run",
          "test_trained_networks_without_their_settings_are_no_new_run"),
]  # fmt: skip

_HELD = [
    _lock("        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)", "        pass",
          "a run's folder is of one process", _IN_USE),
    _lock('return process, "" if host', 'return "0", "" if host',
          "who holds a folder is named by its number", _IN_USE),
    _lock("if error.errno in _REFUSED or known:", "if error.errno in _REFUSED:",
          "a disk without locks is asked by the number",
          "test_a_disk_without_locks_is_asked_by_the_number"),
    _lock("    if _is_at(file, path):\n        path.unlink(missing_ok=True)\n", "",
          "the lock's file goes with the lock", "test_a_lock_that_nobody_holds_does_not_block"),
]  # fmt: skip

_FILES = [
    _files("        yield part\n        os.replace(part, path)\n        remove_left_overs(path)\n",
           "        yield part\n        os.replace(part, path)\n",
           "a whole save removes what a kill left", _LEFT),
    _files("if process in (0, os.getpid()):", "if process == 0:",
           "what an earlier process of the same number left is removed",
           "test_which_processes_run"),
    _files(' and not is_running(process):', ":",
           "another process's part stays", _KEPT),
    _files('rf"\\.{name}\\.part(-(?P<process>\\d+)(-[0-9a-f]+)?)?"',
           'rf"\\.?{name}\\.part(-(?P<process>\\d+)(-[0-9a-f]+)?)?"',
           "what a download goes on from stays", _KEPT),
    _files("        if path.exists() and not replaces:\n            path.rmdir()\n", "",
           "an import replaces nothing that came meanwhile",
           "test_a_folder_filled_meanwhile_stays"),
    _files("if found and entry.name not in _in_use and", "if found and",
           "what another thread writes stays", "test_two_threads_write_one_file"),
    _files("left_over = left.fullmatch(entry.name) and entry.name not in _in_use",
           "left_over = left.fullmatch(entry.name)", "what is being written stays",
           "test_what_is_being_written_stays"),
    _files("left_over and not _is_last_copy(entry.name, folder)",
           "left_over", "the only copy of a model stays",
           "test_the_model_before_stays_where_there_is_no_other"),
    _run("            remove_parts(folder)\n", "            pass\n",
         "a run that goes on removes what a kill left",
         "test_what_a_kill_left_in_a_run_is_gone_when_it_goes_on"),
    of("files.py", "tests/test_files.py")(
        "ignore_errors=True)\n        remove_left_overs(path)\n",
        "ignore_errors=True)\n", "a model's save removes what a kill left of one",
        "test_a_model_folder_is_rid_of_what_a_kill_left_of_it"),
]  # fmt: skip

_BEFORE = [
    _check("    if len(captions) == 1:", "    if False:", "captions all alike are told", _NAMED),
    _check("    except NoWrongCaption as error:", "    except ZeroDivisionError as error:",
           "a photograph without a wrong caption is told by its name", _NAMED),
    of("cli/data.py", "tests/training/test_trainable.py")(
           "if not faults and (problem", "if False and (problem",
           "data check finds what no training can be done on", _NAMED),
    _run("    require_trainable(plan, examples, encoder)\n", "",
         "what cannot be trained on is told at the start", f"{_TRAINABLE}::{_NAMED}"),
    _check("if not wrong_captions:", "if False:", "wrong captions are asked for where shown",
           "test_wrong_captions_are_asked_for_only_where_they_are_shown"),
    _trainable("    if all(torch.equal(", "    if False and all(torch.equal(",
               "captions that are read alike are told", _VAIN),
    _trainable("if fits >= 2 * stage.accumulate else 1", "if True else 1",
               "the batch that is named fits", "test_the_batch_that_a_sentence_names_fits"),
    _trainable("shown = examples if precomputed else examples[:1]", "shown = examples[:1]",
               "captions without an embedding are told at the start",
               "test_captions_that_precomputed_embeddings_lack_are_named_at_the_start"),
    _trainable("    except InputError as error:\n",
               "    except InputError as error:\n        return\n",
               "one class for the encoder is told",
               "test_an_only_class_that_is_held_out_leaves_too_few"),
    _train("            withdraw(run)\n", "            pass\n", "a refused run leaves no folder",
           f"{_TRAINABLE}::test_a_photograph_that_cannot_be_decoded_leaves_no_run_behind"),
]  # fmt: skip

_CACHES = [
    _prepared("        _link(prepared, own)\n", "", "a cache that is read only is read",
              "test_a_cache_on_a_disk_that_is_read_only_is_read_there"),
    _prepared("if own != prepared and any(there):", "if any(there):",
              "a cache that can be written is used as it is",
              "test_a_cache_that_can_be_written_is_used_without_a_word"),
    _prepared("if why is None or (any(there) and not why.changed):", "if why is None or True:",
              "a cache that cannot be used is named", _UNUSED),
    _prepared("(any(there) and not why.changed)", "(False and not why.changed)",
              "other sizes beside a used one are no trouble",
              "test_other_sizes_beside_one_that_is_used_are_no_trouble"),
    _cache("    if place.path.exists():\n        return WhyNot(",
           "    if False:\n        return WhyNot(",
           "changed photographs are the reason", _UNUSED),
    _cache('if int(match["size"]) == size_px]', "]", "another size is the reason", _UNUSED),
]  # fmt: skip

_PACKAGES = [
    _optional("except (Exception, SystemExit) as error:", "except ImportError as error:",
              "whatever a package raises it is absent",
              "test_whatever_a_package_raises_is_its_reason"),
    _optional("isinstance(error, ModuleNotFoundError) and error.name == package",
              "isinstance(error, ModuleNotFoundError)",
              "a package that lacks another is broken, not absent",
              "test_whatever_a_package_raises_is_its_reason"),
    _record("if not error.absent:", "if False:", "a broken TensorBoard is told", _BOARD),
    _record("warn if tell_board else lambda _: None", "warn", "it is told once", _BOARD),
    _record("            self._board = None\n            self._warn", "            self._warn",
            "a TensorBoard that fails is left out",
            "test_a_tensorboard_that_fails_later_costs_one_sentence"),
    _prepare("            load_optional(package)\n", "            pass\n",
             "broken image features are told at the start",
             "test_broken_image_features_are_told_before_a_training"),
]  # fmt: skip

DEFECTS = [*_READ, *_CHANGED, *_HELD, *_FILES, *_BEFORE, *_CACHES, *_PACKAGES]
