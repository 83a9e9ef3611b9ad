"""Defects of what is said of captions before they are drawn."""

from __future__ import annotations

from planted.defect import of

_remarks = of("remarks.py", "tests/test_remarks.py")
_captions = of("text/captions.py", "tests/text/test_captions.py")
_generate = of("cli/generate.py", "tests/cli/test_generate.py")
_interpolate = of("cli/interpolate.py", "tests/cli/test_interpolate.py")

DEFECTS = [
    _remarks(
        "if moved.get(caption, 0.0) < limit",
        "if not read[caption].telling",
        "the picture decides what moves it",
        "test_the_picture_decides_and_not_the_words",
    ),
    _remarks(
        "if moved.get(caption, 0.0) < limit",
        "if len(read[caption].unknown) == len(read[caption].telling)",
        "a known word may move nothing",
        "test_a_known_word_that_moves_nothing_is_said_too",
    ),
    _remarks(
        "for each in (*NEUTRAL, reference))",
        "for each in NEUTRAL)",
        "a caption is compared with its own function words too",
        "test_a_caption_is_compared_with_its_own_function_words_too",
    ),
    _remarks(
        "for each in (*NEUTRAL, reference))",
        "for each in (reference,))",
        "a caption is compared with all captions of nothing",
        "test_a_caption_near_to_any_caption_of_nothing_moves_nothing",
    ),
    _remarks(
        "min(max(among, STILL[0]), STILL[1])",
        "STILL[0]",
        "what wording alone moves is no meaning",
        "test_what_wording_alone_moves_is_no_meaning",
    ),
    _remarks(
        "min(max(among, STILL[0]), STILL[1])",
        "max(among, STILL[0])",
        "what is plain to see is a change",
        "test_what_wording_alone_moves_is_no_meaning",
    ),
    _remarks(
        "min(max(among, STILL[0]), STILL[1])",
        "min(among, STILL[1])",
        "what cannot be seen is none",
        "test_what_cannot_be_seen_is_no_change",
    ),
    _remarks(
        "found.unknown and caption not in idle",
        "False",
        "unknown words of a caption understood in part are named",
        "test_of_a_caption_that_is_understood_in_part_the_unknown_words_are_named",
    ),
    _remarks(
        "if found.negations",
        "if False",
        "negations are said",
        "test_a_negation_is_said_in_one_sentence",
    ),
    _remarks(
        "read = caption[:length]",
        "read = caption",
        "words after the cut are not read",
        "test_words_after_the_cut_are_neither_known_nor_unknown",
    ),
    _remarks(
        'and " " in read:',
        "and not read:",
        "a word cut in half is no word",
        "test_words_after_the_cut_are_neither_known_nor_unknown",
    ),
    _remarks(
        "if cut := cut_captions(model, captions):",
        "if cut := list[str]():",
        "cut captions are said",
        "tests/cli/test_generate.py::test_what_a_long_caption_loses_is_said_in_one_sentence",
    ),
    _remarks(
        'if getattr(encoder, "any_caption", True):',
        "if True:",
        "an encoder of listed captions is asked for no other",
        "test_of_an_encoder_of_listed_captions_nothing_is_asked_that_it_has_not",
    ),
    _remarks(
        "if pictures > 1 and truncation == 0:",
        "if False:",
        "one picture several times is said",
        "tests/test_pipeline.py::test_one_picture_several_times_is_said",
    ),
    _captions(
        "if word in FUNCTION_WORDS and word not in NEGATIONS",
        "if word in FUNCTION_WORDS",
        "a negation is no function word of the reference",
        "test_a_negation_is_no_word_of_its_own",
    ),
    _captions(
        "- FUNCTION_WORDS - set(found)",
        "- set(found)",
        "examples tell something",
        "test_examples_are_known_words_and_colours_come_first",
    ),
    _generate(
        "for sentence in remarks:",
        "for sentence in remarks[1:]:",
        "remarks are said",
        "test_a_caption_of_unknown_words_is_drawn_with_a_warning",
    ),
    _generate(
        '"remarks": remarks}',
        '"remarks": []}',
        "a program reads the remarks",
        "test_several_captions_are_a_sentence_for_each_matter",
    ),
    _interpolate(
        "network.remarks([first, last])",
        "network.remarks([first])",
        "both ends are remarked on",
        "test_what_an_end_asks_for_in_vain_is_said",
    ),
]
