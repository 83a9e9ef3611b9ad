"""Defects of what is done with images and captions as people have them."""

from __future__ import annotations

from planted.defect import of

_decoding = of("data/decoding.py", "tests/data/test_bad_images.py")
_images = of("data/images.py", "tests/data/test_bad_images.py")
_text = of("plain_text.py", "tests/data/test_bad_captions.py")
_metadata = of("data/metadata.py", "tests/data/test_bad_captions.py")
_listing = of("data/listing.py", "tests/data/test_bad_captions.py")
_folder = of("data/folder.py", "tests/data/test_bad_captions.py")
_answer = of("cli/answer.py", "tests/data/test_bad_captions.py")
_check = of("cli/data.py", "tests/data/test_bad_captions.py")
_generate = of("cli/generate.py", "tests/cli/test_generate.py")
_pipeline = of("pipeline.py", "tests/cli/test_generate.py")
_result = of("result.py", "tests/cli/test_generate.py")

_USABLE = "test_a_usable_file_shows_what_it_shows_elsewhere_and_is_not_blamed"
_NAMED = "test_a_file_that_cannot_be_used_is_named_in_one_sentence"
_LARGE = "test_a_jpeg_of_200_megapixels_is_read_at_a_part_of_its_size"
_BOMB = "test_a_progressive_jpeg_is_held_whole_and_has_a_limit_of_its_own"
_READ = "test_a_caption_file_is_read_whatever_wrote_it"
_NO_TEXT = "test_a_caption_file_that_is_no_text_is_named_once_and_its_image_is_not_blamed"
_LINE = "test_a_line_of_anything_is_named_in_a_short_sentence"
_NOTHING = "test_what_other_programs_write_for_nothing_is_nothing"
_CSV = "test_a_csv_that_cannot_be_read_is_one_fault_with_its_line"
_NAME = "test_a_name_of_any_characters_is_read_and_shown_without_obeying_it"
_LONG = "test_what_a_long_caption_loses_is_said_in_one_sentence"

DEFECTS = [
    _decoding(
        "formats=_known())\n    except (Image",
        "formats=None)\n    except (Image",
        "no format is opened that starts a program",
        "test_a_format_that_starts_a_program_is_not_opened",
    ),
    _decoding(
        'if start == b"\\xff\\xd8\\xff":',
        "if False:",
        "a JPEG of 200 megapixels is opened",
        _LARGE,
    ),
    _decoding(
        "    if pixels > LARGEST_PX:", "    if False:", "what is too large is refused", _NAMED
    ),
    _decoding(
        "    if progressive and whole > LARGEST_PROGRESSIVE_PX:",
        "    if False:",
        "a progressive JPEG is held whole",
        _BOMB,
    ),
    _decoding(
        "6: Image.Transpose.ROTATE_270",
        "6: Image.Transpose.ROTATE_90",
        "orientation 6 and 8",
        "test_each_of_the_eight_orientations_stands_upright",
    ),
    _decoding(
        "5: Image.Transpose.TRANSPOSE",
        "5: Image.Transpose.TRANSVERSE",
        "orientation 5 and 7",
        "test_each_of_the_eight_orientations_stands_upright",
    ),
    _decoding(
        "    except Exception:  # damaged EXIF",
        "    except KeyError:  # damaged EXIF",
        "garbage in the EXIF spoils no photograph",
        _USABLE,
    ),
    _decoding(
        "        plain = _without_notes(path) if plain is None else None\n",
        "        plain = None\n",
        "a damaged note spoils no PNG",
        _USABLE,
    ),
    _decoding(
        "for top in (1, 255, 65535)",
        "for top in (255, 65535)",
        "floats to 1 are not black",
        _USABLE,
    ),
    _decoding("or high > 255", "", "32 bits hold 65535 too", _USABLE),
    _decoding('image.mode != "I" or', "True or", "32 bits hold 255 too", _USABLE),
    _decoding(
        "if not (low >= 0 and high <= 65535):",
        "if low < 0 or high > 65535:",
        "levels that are no number are named",
        _NAMED,
    ),
    _decoding("    if not start:\n", "    if False:\n", "an empty file is called empty", _NAMED),
    _decoding(
        '"white")',
        '"black")',
        "transparency is over white",
        _USABLE,
    ),
    _decoding(
        "    if not os.path.isfile(path):",
        "    if not os.path.exists(path):",
        "a folder is no image",
        "test_a_folder_and_a_link_to_nothing_are_named",
    ),
    _images(
        "read_image(path, CHECK_PX)", "read_image(path)", "a check needs little memory", _LARGE
    ),
    _text('("utf-8", "cp1252", "latin-1")', '("utf-8", "latin-1")', "Windows quotes", _READ),
    _text(
        '    codecs.BOM_UTF16_LE: "utf-16",  # a spreadsheet\'s "Unicode text"\n',
        "",
        "UTF-16 is known by its mark",
        "test_text_survives_each_encoding_that_says_what_it_is",
    ),
    _text(
        "            return None\n        text = text",
        "            pass\n        text = text",
        "noise is no text",
        _NO_TEXT,
    ),
    _text(
        '_CONTROL.sub(" ", caption)',
        "caption",
        "control characters become spaces",
        "test_plain_text_can_be_shown_stored_and_has_as_many_characters",
        _READ,
    ),
    _text('.replace("\\r", "\\n")', "", "a return alone ends a line", _READ),
    _metadata(
        'if max(map(len, name.split("/"))) > 255:', "if False:", "a caption is no name", _LINE
    ),
    _metadata(
        "isinstance(found, float) and math.isnan(found)", "False", "NaN is nothing", _NOTHING
    ),
    _metadata("found and found.lower()", "found", "Test is test", _NOTHING),
    _metadata(
        "tuple(dict.fromkeys(line for line in lines if line))",
        "tuple(line for line in lines if line)",
        "a caption given twice is one",
        _NOTHING,
    ),
    _metadata(
        "except (ValueError, RecursionError):\n        return None",
        "except ValueError:\n        return None",
        "brackets are no traceback",
        _NOTHING,
    ),
    _metadata(
        '            yield 1, _Unusable(problem, "")\n            return\n',
        "            pass\n",
        "a wrong header is one fault",
        _CSV,
    ),
    _metadata(
        "            if not any(row.values()):\n                continue",
        "            if False:\n                continue",
        "empty rows are no faults",
        "test_a_spreadsheets_capitals_and_empty_rows_are_no_faults",
    ),
    _metadata(
        "name.strip().lower() for name",
        "name.strip() for name",
        "capitals in a header",
        "test_a_spreadsheets_capitals_and_empty_rows_are_no_faults",
    ),
    _metadata(
        "begins one JSON list", "begins", "one JSON list is said", "test_one_json_list_is_one_fault"
    ),
    _folder(
        "named | named_in_vain\n",
        "named\n",
        "an image with a faulty line has a line",
        "test_an_image_whose_line_is_faulty_is_not_said_to_have_none",
    ),
    _folder(
        'for fault in found if fault.about == ""]',
        "for fault in found if False]",
        "images are not blamed for a header",
        _CSV,
    ),
    _listing(
        "if ending in IMAGE_SUFFIXES",
        "if os.path.splitext(name)[1] in IMAGE_SUFFIXES",
        "endings in capitals",
        "test_the_endings_of_names_may_be_in_capitals",
    ),
    _listing(
        "elif ending in CAPTION_SUFFIXES",
        "elif os.path.splitext(name)[1] in CAPTION_SUFFIXES",
        "endings in capitals",
        "test_the_endings_of_names_may_be_in_capitals",
    ),
    _folder(
        '.encode("utf-8", "surrogatepass")', ".encode()", "names of any bytes are split", _NAME
    ),
    _folder(
        "    entries = _as_on_disk(root, entries, files)\n",
        "",
        "accents apart",
        "test_a_letter_and_its_accent_may_stand_apart_in_a_name",
    ),
    _folder(
        "for example in examples}) == 1:",
        "for example in examples}) == 0:",
        "a single class is none",
        "test_a_class_that_is_the_only_one_tells_nothing_apart",
    ),
    _folder(
        "found += [Fault(root / name, LINK) for name in files.links]",
        "pass",
        "links to folders are named",
        "test_links_to_folders_are_named_and_not_followed",
    ),
    _answer(
        'c if c.isprintable() else c.encode("unicode_escape").decode() for c in text',
        "c for c in text",
        "a terminal obeys no name",
        "test_what_is_printed_is_one_line_that_no_terminal_obeys",
    ),
    _check(
        'printable(f"{fault.path}: {fault.problem}")',
        'f"{fault.path}: {fault.problem}"',
        "a fault is one line",
        _NAME,
    ),
    of("arguments.py", "tests/cli/test_generate.py")(
        "return [plain(caption).strip() for",
        "return [caption.strip() for",
        "PNG fields can be stored",
        "test_a_caption_of_any_characters_is_drawn_and_stored",
    ),
    _result(
        '.encode()[: 2 * length].decode(errors="ignore")',
        "",
        "names fit the disk",
        "test_a_caption_of_any_characters_is_drawn_and_stored",
    ),
    of("cli/dry_run.py", "tests/cli/test_train_verb.py")(
        "    examples = check(plan, run if resume else None)\n",
        "    examples: list[Any] = []\n",
        "a dry run reads the captions",
        "test_a_dry_run_says_what_it_would_read",
    ),
]
