"""Defects of the reader of people's own folders, of what texts are taken for and of refusals."""

from __future__ import annotations

from planted.defect import of

_OWN = "tests/data/test_own_data.py"
_folder = of("data/folder.py", _OWN)
_listing = of("data/listing.py", _OWN)
_metadata = of("data/metadata.py", _OWN)
_examples = of("data/examples.py", _OWN)
_text = of("plain_text.py", _OWN)
_check = of("data/check.py", _OWN)
_verb = of("cli/data.py", _OWN)
_options = of("cli/options.py", "tests/test_plain_text.py")
_config = of("config.py", "tests/test_plain_text.py")
_captions = of("text/captions.py", "tests/test_plain_text.py")
_pickles = of("legacy/pickles.py", "tests/test_plain_text.py")
_captioning = of("training/captioning.py", "tests/test_plain_text.py")
_oxford102 = of("data/oxford102.py", "tests/test_plain_text.py")
_recognise = of("legacy/recognise.py", "tests/legacy/test_recognise.py")
_importing = of("legacy/importing.py", "tests/legacy/test_recognise.py")
_pth = of("legacy/pth.py", "tests/legacy/test_recognise.py")
_sides = of("evaluation/metrics/sides.py", "tests/evaluation/metrics/test_sides.py")
_swd = of("evaluation/metrics/swd.py", "tests/evaluation/metrics/test_swd.py")
_report = of("evaluation/report.py", "tests/evaluation/test_report.py")
_drawn = of("evaluation/protocol.py", "tests/evaluation/test_report.py")

_HELD_OUT = "test_what_lies_in_a_test_folder_is_never_trained_on"
_COLUMN = "test_a_column_decides_before_the_folders_which_decide_where_it_is_empty"
_TABLES = "test_tables_of_sub_folders_name_images_beside_them"
_WAYS = "test_each_folder_may_have_its_own_way"
_BLAMES = "test_a_faulty_line_of_a_sub_folder_is_named_and_blames_no_other"
_LISTS = "test_a_list_as_python_prints_it_is_its_sentences"
_NO_LIST = "test_a_list_that_is_none_is_named_and_no_caption"
_INSIDE = "test_whole_paths_that_lie_inside_are_the_folders_own"
_OUTSIDE = "test_whole_paths_outside_are_refused_with_the_folder_named"
_LEFT = "test_what_systems_and_tools_leave_is_passed_over"
_LINES = "test_lines_end_at_line_feeds_and_nowhere_else"
_GUESSED = "test_letters_that_had_to_be_guessed_are_said"
_MEANT = "test_without_captions_what_was_meant_for_them_is_named"
_IS = "test_a_file_that_is_none_of_ours_is_said_to_be_what_it_is"
_IN_WORDS = "test_what_torch_saved_in_place_of_weights_is_said_in_plain_words"

DEFECTS = [
    _folder(
        'return any(entry.split or split_of_folder(entry.file_name) == "test" for entry',
        "return any(entry.split for entry",
        "a folder called test is held out",
        _HELD_OUT,
    ),
    _folder(
        'return entry.split or split_of_folder(entry.file_name) or "train"',
        'return split_of_folder(entry.file_name) or entry.split or "train"',
        "a split column decides before folders",
        _COLUMN,
    ),
    _folder(
        'return entry.split or split_of_folder(entry.file_name) or "train"',
        'return entry.split or "train"',
        "folders decide where the column is empty",
        _COLUMN,
    ),
    _listing(
        'return "test" if "test" in splits else next(iter(splits), None)',
        "return next(iter(splits), None)",
        "train/test is held out",
        _HELD_OUT,
    ),
    _listing("test|testing|val|valid|", "test|testing|valid|", "val is held out", _HELD_OUT),
    _listing(
        "name.lower().split", "name.split", "Test is a folder of the test as test is", _HELD_OUT
    ),
    _listing(
        "_SPLIT_FOLDER.fullmatch",
        "_SPLIT_FOLDER.match",
        "a folder called testify is no split",
        "test_other_folders_say_nothing_of_splits",
    ),
    _folder(
        'any(entry.split or split_of_folder(entry.file_name) == "test"',
        "any(entry.split or split_of_folder(entry.file_name)",
        "train/ alone leaves the split to the hash",
        "test_a_folder_of_training_images_alone_holds_nothing_out",
    ),
    _listing(
        "found.tables.extend(of_folder[:1])",
        "found.tables.extend(name for name in of_folder[:1] if '/' not in name)",
        "tables of sub-folders are read",
        _TABLES,
    ),
    _metadata(
        "place = _Place(root, os.path.dirname(table))",
        'place = _Place(root, "")',
        "a table names images relative to its own folder",
        _TABLES,
    ),
    _listing(
        "any(within(name, os.path.dirname(table)) for table in self.tables)",
        "bool(self.tables)",
        "a table says nothing of other folders",
        _WAYS,
    ),
    _listing(
        'CAPTION_SUFFIXES = (".txt", ".caption")',
        'CAPTION_SUFFIXES = (".txt",)',
        "captions in .caption files are read",
        _WAYS,
    ),
    _folder(
        "captions += read_lines(root / text)",
        "captions = read_lines(root / text)",
        "captions of both endings are joined",
        "test_captions_of_both_endings_are_joined",
    ),
    _folder(
        "and not any(within(name, folder) for folder in folders)",
        "",
        "images are not blamed for the header of their own table",
        _BLAMES,
    ),
    _folder(
        "and not any(within(name, folder) for folder in folders)",
        "and not folders",
        "a broken header excuses only what lies below it",
        "test_a_broken_header_excuses_no_image_of_another_folder",
    ),
    _folder(
        "for name in files.second",
        "for name in ()",
        "a second table is named",
        "test_two_tables_of_one_folder_are_not_passed_over_in_silence",
    ),
    _listing('elif ending == ".parquet":', "elif False:", "Parquet is named", _MEANT),
    _listing(
        'elif ending in _TABLES or word == "metadata":',
        "elif ending in _TABLES:",
        "metadata.json1 is named",
        _MEANT,
    ),
    _folder(
        "for name in files.parquet",
        "for name in ()",
        "a Parquet table beside captions is named",
        "test_a_parquet_table_beside_captions_is_a_fault",
    ),
    _metadata(
        "Columns(*(column.lower() for column in columns))",
        "columns",
        "a CSV's column is named in any case",
        "test_other_columns_of_a_csv_are_named_in_any_case",
    ),
    _metadata(
        'return f"; `--option {option}={near}` reads {near}" if near else ""',
        'return ""',
        "the option that reads another column is said",
        "test_other_columns_are_read_by_an_option_and_named_without_it",
    ),
    _check(
        "if option not in chosen.check_options:",
        "if False:",
        "a check takes no option that it does not use",
        "test_other_columns_are_read_by_an_option_and_named_without_it",
    ),
    _verb(
        "report(name, root, progress, **options)",
        "report(name, root, progress)",
        "a check reads the columns named",
        "test_other_columns_are_read_by_an_option_and_named_without_it",
    ),
    _metadata(
        "        found = _python_or_none(text)\n",
        "        pass\n",
        "lists printed by Python are lists",
        _LISTS,
    ),
    _metadata(
        "if one.type == other.type == tokenize.STRING:",
        "if False:",
        "strings that numpy printed side by side are several",
        _LISTS,
    ),
    _metadata("return ast.literal_eval(", "return eval(", "nothing in a cell is run", _NO_LIST),
    _metadata(
        'if re.match(r"\\[\\s*[\'\\"]", text):',
        "if False:",
        "a printed list that cannot be read is no caption",
        _NO_LIST,
    ),
    _metadata(
        "for written in (name, behind_links):",
        "for written in (name,):",
        "a whole path may go through a link",
        _INSIDE,
    ),
    _metadata(
        "top.rstrip(os.sep) + os.sep",
        "top",
        "a folder whose name begins alike is another",
        _OUTSIDE,
    ),
    _metadata(
        "if not os.path.isabs(name) and PureWindowsPath(name).drive:",
        "if False:",
        "a path of another system is no name below a sub-folder",
        _OUTSIDE,
    ),
    _metadata(
        'if re.match(r"[a-zA-Z][\\w+.-]+://", found.strip()):',
        "if False:",
        "an address is said to be one",
        "test_an_address_is_no_name",
    ),
    _listing(
        "below[:] = sorted(name for name in below if not hidden(name))",
        "below[:] = sorted(below)",
        "hidden folders are passed over",
        _LEFT,
    ),
    _listing(
        "            if hidden(name):\n                continue\n",
        "",
        "hidden files are passed over",
        _LEFT,
    ),
    _examples('"__macosx", ', "", "__MACOSX is passed over", _LEFT),
    _text(
        'text.replace("\\r", " ") if "\\n" in text else',
        "",
        "a return inside a line does not end it",
        _LINES,
    ),
    _text(
        'text = text.replace("\\r\\n", "\\n")',
        'text = "\\n".join(text.splitlines())',
        "lines end at line feeds alone",
        _LINES,
    ),
    _text(
        'data.count(b"\\n", 0, error.start) + 1',
        'data.count(b"\\n", 0, error.start)',
        "the line of the first letter guessed is said",
        _GUESSED,
    ),
    _folder(
        "for name in (*files.tables, *texts)",
        "for name in texts",
        "a table whose letters were guessed is said",
        _GUESSED,
    ),
    _captions(
        '_read(path).split("\\n")',
        "_read(path).splitlines()",
        "an encoder's captions end at line feeds alone",
        "test_a_captions_file_of_an_encoder_ends_its_lines_at_line_feeds",
    ),
    _text(
        "raise ValueError(f\"it {guessed.partition(':')[0]}\")",
        "pass",
        "settings are never guessed",
        "tests/test_plain_text.py::test_settings_and_maps_are_never_guessed",
    ),
    _config(
        "decode_utf(file.read_bytes())",
        'file.read_text("utf-8")',
        "settings may have a byte-order mark",
        "test_settings_and_maps_may_have_a_mark",
    ),
    _captions(
        "return decode_utf(data)",
        'return data.decode("latin-1")',
        "an encoder's captions are never guessed",
        "test_an_encoders_captions_are_never_guessed",
    ),
    _options(
        "if (guessed := not_utf8(data)) is not None:",
        "if (guessed := None) is not None:",
        "a guessed encoding of prompts is said",
        "test_prompts_whose_letters_were_guessed_are_read_and_it_is_said",
    ),
    _pickles(
        "if any(map(hidden, file.relative_to(texts).parts)):",
        "if False:",
        "hidden captions are nobody's",
        "test_captions_beside_the_authors_pickles_are_read_as_a_folders_are",
    ),
    _captioning(
        "and not any(map(hidden, path.relative_to(root).parts))",
        "",
        "hidden photographs are passed over",
        "test_hidden_photographs_get_no_captions",
    ),
    _oxford102(
        "        if hidden(folder.name):\n            continue\n",
        "",
        "hidden folders are no classes",
        "test_what_systems_leave_in_a_flowers_folder_is_no_fault",
    ),
    _oxford102(
        'path.suffix == ".jpg" and not hidden(path.name)',
        'path.suffix == ".jpg"',
        "hidden files are no photographs",
        "test_what_systems_leave_in_a_flowers_folder_is_no_fault",
    ),
    _importing("    _refuse_others(path)\n", "", "a file of others is said to be one", _IS),
    _importing(
        'text = None if "not allowed" in str(error) else _text_or_none(path)',
        "text = _text_or_none(path)",
        "a pickle that would run is refused by name",
        "test_a_pickle_that_would_run_is_refused_by_name_and_not_as_text",
    ),
    _importing(
        "elif (other := whose(weights)) is not None:",
        "elif (other := None) is not None:",
        "a network of others is said to be theirs",
        "test_a_network_of_others_is_said_to_be_whose_it_is",
    ),
    _recognise(
        "text = decode_text(start) if known else None",
        "text = decode_text(start)",
        "noise is no text",
        _IS,
    ),
    _recognise(
        'if any(name.split("/")[-1] == "data.pkl" for name in names):',
        "if False:",
        "weights that torch saved are read",
        "test_the_authors_own_names_are_nobody_elses",
    ),
    _recognise(
        "except (ValueError, RecursionError):\n        return None\n    names",
        "except RecursionError:\n        return None\n    names",
        "no bytes are a traceback",
        "test_any_bytes_are_named_in_a_short_phrase_or_left_to_the_readers",
    ),
    _pth('return "a tensor alone"', "pass", "a tensor is called one", _IN_WORDS),
    _sides(
        "<= 1e-6 * float(side.abs().max())",
        "< 0",
        "a side without spread is refused",
        "test_a_side_without_spread_is_refused",
    ),
    _sides(
        "<= 1e-6 * float(side.abs().max())",
        "== 0",
        "rounding is no spread",
        "test_a_side_without_spread_is_refused",
    ),
    _swd(
        "if float(deviation.min()) < LEAST_DEVIATION:",
        "if False:",
        "flat photographs are refused",
        "test_swd_of_photographs_without_deviation_is_refused",
    ),
    _swd(
        "    if not len(reference):\n",
        "    if False:\n",
        "SWD of nothing is refused",
        "test_swd_of_nothing_is_refused",
    ),
    _report(
        '        _check_spread(pixels, "pictures that the model drew")\n',
        "",
        "a model that draws one picture is not scored by KID",
        "test_sides_that_are_all_alike_are_refused",
    ),
    _drawn(
        "    if len(examples) < LEAST_PICTURES:\n",
        "    if False:\n",
        "too few examples are said to be so",
        "test_too_few_examples_are_refused_whatever_is_asked",
    ),
]
