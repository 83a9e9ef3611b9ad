"""Defects of the restricted unpickler, of the readers of others' files and of the import."""

from __future__ import annotations

from planted.defect import of

_machine = of("safe_pickle/machine.py", "tests/test_safe_pickle.py")
_builders = of("safe_pickle/builders.py", "tests/test_safe_pickle.py")
_steps = of("safe_pickle/steps.py", "tests/test_safe_pickle.py")
_pth = of("legacy/pth.py", "tests/legacy/test_pth.py")
_torch7 = of("legacy/torch7.py", "tests/legacy/test_torch7.py")
_authors = of("legacy/authors_pt.py", "tests/legacy/test_authors_files.py")
_encoders = of("legacy/char_cnn_rnn.py", "tests/legacy/test_published_encoders.py")
_pickles = of("legacy/pickles.py", "tests/legacy/test_pickles.py")
_importing = of("legacy/importing.py", "tests/legacy/test_import_verb.py")
_hub_encoders = of("encoders.py", "tests/legacy/test_import_verb.py")

_REFUSED = "test_the_rest_is_refused_in_one_sentence"
_SAID = "test_it_is_said_what_was_found"
_VALUES = "test_plain_values_come_back"
_ARRAYS = "test_arrays_come_back"
_BOUNDED = "test_memory_is_bounded_by_the_files_size"
_GRAPH = "test_a_torch7_net_is_told_by_its_graph"
_STAGE1 = "test_stage_1"
_JUDGES = "test_discriminators"
_MISFIT = "test_what_does_not_fit_is_named"
_WRONG = "test_wrong_use_is_one_sentence_and_writes_nothing"
_MODEL = "test_a_model_that_draws_interpolates_and_tells_where_it_came_from"

DEFECTS = [
    _machine(
        'raise Refused(f"it calls {shown(function.path)}, which is not allowed")',
        "return None",
        "a name outside the list is refused, not passed over",
        _REFUSED,
    ),
    _machine(
        "if count < 0 or end > self.size:",
        "if False:",
        "a length the file cannot hold is refused",
        _SAID,
    ),
    _machine("if self.budget < 0:", "if False:", "memory is bounded", _BOUNDED),
    _machine(
        "if not 0 <= index <= self.size:",
        "if False:",
        "no huge place in the memo",
        _REFUSED,
    ),
    _machine(
        "if not isinstance(child, self.allowed) or id(child) in self.unbuilt:",
        "if not isinstance(child, self.allowed):",
        "an array that was never filled is refused",
        _REFUSED,
    ),
    _machine(
        "if not isinstance(child, self.allowed) or id(child) in self.unbuilt:",
        "if id(child) in self.unbuilt:",
        "a name alone is no value",
        _REFUSED,
    ),
    _machine("if id(child) in open_ids:", "if False:", "no container holds itself", _SAID),
    _machine("if len(path) >= MAX_DEPTH:", "if False:", "nesting is bounded", _REFUSED),
    _machine(
        "good = isinstance(part, str | bytes | float | int | type(None) | np.generic)",
        "good = True",
        "only plain keys are hashed",
        _REFUSED,
    ),
    _machine("abs(part) >= 2**64", "abs(part) >= 2**600", "keys cannot share a hash", _REFUSED),
    _machine(
        "if len(self.stack) <= (self.marks[-1] if self.marks else 0):",
        "if not self.stack:",
        "nothing is taken from below a mark",
        _REFUSED,
    ),
    _builders(
        "if len(expect(raw, bytes, bytearray)) != wanted:",
        "if len(expect(raw, bytes, bytearray)) < wanted:",
        "an array has as many bytes as it claims",
        _SAID,
    ),
    _builders(
        "machine.charge(wanted + 112)",
        "machine.charge(112)",
        "arrays of the same bytes count each time",
        "test_arrays_of_the_same_bytes_cannot_fill_the_memory",
    ),
    _builders("[SUa][1-9][0-9]{0,5})", "[SUaO][0-9]{0,5})", "no array of objects", _REFUSED),
    _builders(
        "bool(expect(fortran, int, bool))",
        "False",
        "an array stored columns first is read so",
        _ARRAYS,
    ),
    _builders(
        'if encoding not in ("latin1", "latin-1"):',
        "if False:",
        "no codec is looked up",
        _REFUSED,
    ),
    _builders("dtype.order = order", "pass", "the byte order is read", _ARRAYS),
    _builders(
        "elif not (isinstance(target, OrderedDict) and _only_metadata(state)):",
        "elif False:",
        "no state is set but an array's and a dtype's",
        _REFUSED,
    ),
    _steps(
        "if not 0 <= length <= MAX_INT_BYTES:", "if False:", "whole numbers are short", _REFUSED
    ),
    _steps(
        "if not _ESCAPED.fullmatch(line, 1, len(line) - 1):",
        "if False:",
        "unknown escapes are refused",
        _REFUSED,
    ),
    _steps(
        "if (number := m.take(1)[0]) > 5:",
        "if (number := m.take(1)[0]) > 9:",
        "a protocol that is not known is refused",
        _REFUSED,
    ),
    _steps("0x88: _put(True)", "0x88: _put(False)", "True is true", _VALUES),
    _steps(
        'struct.unpack(">d", m.take(8))',
        'struct.unpack("<d", m.take(8))',
        "binary floats are big-endian",
        _VALUES,
    ),
    _steps(
        "if m.persistent is None:",
        "if False:",
        "no persistent id without a reader for it",
        _SAID,
    ),
    _steps(
        "for _ in range(count)][::-1]",
        "for _ in range(count)]",
        "a tuple keeps its order",
        _VALUES,
    ),
    _pth(
        "if not fits or (count and last >= storage.count):",
        "if not fits:",
        "a tensor stays inside its numbers",
        _SAID,
    ),
    _pth(
        "fits = start >= 0 and all(value >= 0 for value in (*sides, *steps))",
        "fits = all(value >= 0 for value in sides)",
        "no tensor begins before its numbers or goes backward",
        _SAID,
    ),
    _pth(
        "if count != storage.whole or end + 8 + length > len(data):",
        "if end + 8 + length > len(data):",
        "the two claims of a storage agree",
        _SAID,
    ),
    _pth(
        "machine.charge(2 * count * storage.dtype.itemsize + 400)",
        "machine.charge(400)",
        "a tensor of steps of zero cannot fill the memory",
        "test_it_is_said_what_was_found",
    ),
    _pth(
        "if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:",
        "if False:",
        "no entry unpacks",
        _SAID,
    ),
    _pth(
        'if entry.filename.startswith("/") or ".." in entry.filename.split("/") or ":" in name:',
        "if False:",
        "no entry leads out of the archive",
        _REFUSED,
    ),
    _pth('archive.read(order) != b"little"', "False", "the byte order is looked at", _REFUSED),
    _pth(
        'key.removeprefix("module.") if prefixed else key',
        "key",
        "module. goes from every name",
        "test_what_torch_saved_is_read",
    ),
    _pth(
        "prefixed = all(isinstance",
        "prefixed = any(isinstance",
        "module. stays where it is a part's name",
        "test_module_goes_only_where_every_name_has_it",
    ),
    _pth(
        "covered = part.numel() == whole.numel() and part.is_contiguous()",
        "covered = True",
        "a part of a storage does not keep the whole alive nor share it",
        "test_a_part_of_a_storage_is_a_copy",
    ),
    _torch7(
        "if not 0 <= sides_count <= 16:",
        "if False:",
        "a tensor has few sides",
        _SAID,
    ),
    _torch7(
        "if not fits or (count and last >= held.size):",
        "if not fits:",
        "a tensor stays inside its storage",
        _REFUSED,
    ),
    _torch7("and count <= held.size", "", "steps of zero cannot fill the memory", _SAID),
    _torch7("start >= 0 and all(", "all(", "no tensor before its storage", _REFUSED),
    _torch7(
        "if self.budget < 0:",
        "if False:",
        "memory is bounded",
        "test_views_of_one_storage_cannot_fill_the_memory",
    ),
    _torch7("if len(steps) >= MAX_DEPTH:", "if False:", "nesting is bounded", _SAID),
    _torch7(
        "if key not in _HABITUAL:",
        "if False:",
        "a function is refused but where old modules carry one",
        _REFUSED,
    ),
    _torch7(
        '_HABITUAL = {"accUpdateGradParameters"}',
        "_HABITUAL = set()",
        "the function that share() leaves is passed over",
        "tests/legacy/test_published_encoders.py"
        "::test_functions_that_old_modules_carry_are_passed_over",
    ),
    _torch7(
        "start = self.source.long() - 1",
        "start = self.source.long()",
        "Lua counts from one",
        "test_tensors_come_back",
    ),
    _torch7(
        "return source.whole() == 1",
        "return source.whole() == 0",
        "True is true",
        "test_values_come_back",
    ),
    _torch7(
        "made = self.seen[index] = Tensor(values, (id(storage), start))",
        "made = self.seen[index] = Tensor(values, (id(storage), 0))",
        "two tensors of one storage are told apart",
        "test_tensors_that_share_a_storage_are_told",
    ),
    _authors(
        "value = torch.cat([value[:, -condition:], value[:, :-condition]], dim=1)",
        "pass",
        "Stage-I's first layer reads condition before noise here",
        _STAGE1,
    ),
    _authors(
        'renamed["joint.text.weight"] = value[:, features:]',
        'renamed["joint.text.weight"] = value[:, : value.shape[1] - features]',
        "the head's text half is the last columns",
        _JUDGES,
    ),
    _authors(
        'downs = 4 if kind == "stage1_D" else 6',
        "downs = 4",
        "Stage-II's discriminator has six down blocks",
        _JUDGES,
    ),
    _authors(
        'states["stage1_G"] = path, inner',
        'states.setdefault("stage1_G", (path, inner))',
        "Stage-I is the one Stage-II was trained with",
        "test_a_stage_1_that_differs_from_the_one_inside_is_told",
    ),
    _authors(
        "if given is not None and not _equal(given[1], inner):",
        "if given is not None:",
        "equal weights are no difference",
        "test_a_stage_1_that_differs_from_the_one_inside_is_told",
    ),
    _authors("if expected != found:", "if False:", "a tensor that does not fit is named", _MISFIT),
    _authors(
        "if not value.is_floating_point() or not value.isfinite().all():",
        "if False:",
        "weights are finite numbers",
        _MISFIT,
    ),
    _authors(
        "first[1] - code[0] // 2",
        "first[1] - code[0]",
        "the noise is what the condition leaves",
        "test_sizes_are_read_from_the_tensors",
    ),
    _authors(
        "if before[0] != value:",
        "if False:",
        "files of two models are told",
        "test_files_of_two_models_and_two_of_a_kind",
    ),
    _encoders(
        "weight.view(len(weight), KERNEL, channels).mT.contiguous()",
        "weight.view(len(weight), channels, KERNEL).contiguous()",
        "Torch7's convolution has its taps outside its channels",
        _GRAPH,
    ),
    _encoders(
        'if "MulConstant" in kept else',
        'if "MulConstant" not in kept else',
        "update and reset are told apart",
        _GRAPH,
    ),
    _encoders(
        "'h2h' if own else 'i2h'", "'i2h' if own else 'h2h'", "what reads the state is h2h", _GRAPH
    ),
    _encoders(
        "key=lambda same: -uses[same]",
        "key=lambda same: uses[same]",
        "the input's layer stands once more",
        "test_a_plain_net_without_a_graph_is_told_by_how_often_its_layers_stand",
    ),
    _encoders(
        "if not value.isfinite().all():",
        "if False:",
        "weights are finite",
        "test_weights_that_make_no_encoder_are_named",
    ),
    _pickles(
        "return captions[:count]",
        "return captions",
        "as many captions as embeddings",
        "test_images_with_their_classes_and_the_first_captions_of_their_files",
    ),
    _pickles(
        "if count is not None and len(captions) < count:",
        "if False:",
        "a missing caption is told",
        "test_files_of_two_splits_and_missing_captions_are_named",
    ),
    _pickles(
        "if other is not None and len(other[1]) != len(listed):",
        "if False:",
        "files of two splits are told",
        "test_files_of_two_splits_and_missing_captions_are_named",
    ),
    _pickles(
        'or ".." in name.split("/")',
        "",
        "no name leads out of the folder",
        "test_what_is_none_of_them_is_refused_by_name",
    ),
    _pickles(
        "if not captions or len(captions) != len(embeddings):",
        "if not captions:",
        "one embedding for each caption",
        "test_captions_that_do_not_fit_are_refused",
    ),
    _importing(
        "if to.exists() and (not to.is_dir() or any(to.iterdir())):",
        "if False:",
        "a folder in use stays as it is",
        "test_a_folder_in_use_is_left_as_it_is",
    ),
    _importing(
        "dtype=torch.float32,",
        "dtype=torch.bfloat16,",
        "weights stay as they were",
        "test_a_whole_file_and_its_weights_are_never_changed",
    ),
    _importing(
        "if encoder.dim != dim:",
        "if False:",
        "an encoder of another size is refused",
        "test_an_encoder_of_another_size_is_refused",
    ),
    _importing(
        "stage1_discriminator=made.stage1_discriminator,",
        "",
        "both discriminators are kept",
        _MODEL,
    ),
    _importing("if len(encoders) > 1:", "if False:", "a model has one encoder", _WRONG),
    _importing(
        "if network in files.networks:",
        "if False:",
        "two files of a kind are refused",
        _WRONG,
    ),
    _importing(
        "if _is_tensorflow(path):",
        "if False:",
        "TensorFlow's checkpoints are named as such",
        _WRONG,
    ),
    _hub_encoders(
        'if given is not None and given.dim != wanted["dim"]:',
        "if False:",
        "a model without an encoder takes only one of its size",
        "test_an_encoder_of_another_size_is_refused",
    ),
]
