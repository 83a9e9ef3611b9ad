"""The words of a caption: which carry meaning, which are unknown, which deny."""

import pytest

from stackgan.text.captions import FUNCTION_WORDS, known_examples, read_words

KNOWN = {"flower", "red", "petals", "a", "with"}


def test_words_are_sorted_by_what_they_tell() -> None:
    found = read_words("A photo of a RED cat, please: 3 petals!", KNOWN)
    assert found.plain == ["a", "photo", "of", "a", "please"]
    assert found.telling == ["red", "cat", "petals"]
    assert found.unknown == ["cat"]
    assert found.negations == []


@pytest.mark.parametrize("word", ["no", "not", "without", "Never", "isn't"])
def test_a_negation_is_no_word_of_its_own(word: str) -> None:
    found = read_words(f"a flower {word} petals", KNOWN)
    assert found.negations == [word.lower()]
    assert (found.plain, found.telling, found.unknown) == (["a"], ["flower", "petals"], [])


@pytest.mark.parametrize("caption", ["12345", "?!", "\N{HOT BEVERAGE}"])
def test_digits_and_signs_are_no_words(caption: str) -> None:
    assert read_words(caption, KNOWN) == ([], [], [], [])


@pytest.mark.parametrize("word", ["a", "the", "of", "in", "this", "three", "please", "photo"])
def test_function_words_are_never_called_unknown(word: str) -> None:
    assert read_words(word, ()).unknown == []


@pytest.mark.parametrize("word", ["red", "flower", "rose", "petals", "painting", "big", "center"])
def test_words_of_what_is_to_be_seen_are_no_function_words(word: str) -> None:
    assert word not in FUNCTION_WORDS


def test_examples_are_known_words_and_colours_come_first() -> None:
    assert known_examples({"zebra", "yellow", "ox", "a", "red", "the"}) == [
        *("red", "yellow", "zebra", "ox"),
    ]
    assert known_examples({"petals", *["red", "white", "pink", "orange", "blue"]}) == [
        *("red", "white", "pink", "orange", "blue"),
    ]
    assert known_examples(()) == []
