"""What moves no picture is said: with tiny real networks that read words, and with the shipped."""

import dataclasses

import numpy as np
import pytest

from stackgan import StackGAN
from stackgan.hub import load_model
from stackgan.remarks import NEUTRAL, STILL, readable, still
from stackgan.text.precomputed import Precomputed
from stackgan.text.vectors import WordVectors

WORDS = ["a", "with", "the", "this", "flower", "rose", "red", "yellow", "petals"]


def reader(function_words: float = 0.05) -> WordVectors:
    """Word vectors of 16 numbers; "rose" is a word it has read and that means nothing: as "a"."""
    vectors = np.random.default_rng(0).normal(0, 2, (len(WORDS), 16)).astype(np.float32)
    vectors[:4] *= function_words
    vectors[WORDS.index("rose")] = vectors[WORDS.index("a")]
    return WordVectors(WORDS, vectors, name="tiny-vectors")


def reads_with(folder, encoder) -> StackGAN:
    return StackGAN(dataclasses.replace(load_model(folder), encoder=encoder), "cpu")


@pytest.fixture(scope="module")
def model(tiny_model):
    return reads_with(tiny_model, reader())


@pytest.fixture(scope="module")
def shipped():
    return StackGAN.from_pretrained("flowers", "cpu")


def test_nothing_is_said_of_a_caption_that_is_understood(model):
    assert model.remarks(["a red flower", "yellow petals", "three red flower please"]) == []


def test_a_caption_of_unknown_words_changes_nothing_though_an_article_is_known(model):
    (said,) = model.remarks("a cat")
    assert said.startswith("nothing in 'a cat' changes the picture: ")
    assert 'the model \'tiny\' knows no "cat"; it knows words such as "red", "yellow"' in said
    assert "with" not in said and '"a"' not in said


def test_a_known_word_that_moves_nothing_is_said_too(model):
    (said,) = model.remarks("a rose")
    assert said.startswith("nothing in 'a rose' changes the picture: ")
    assert "draws the same without it; it knows" in said and "knows no" not in said


@pytest.mark.parametrize("caption", ["please", "12345", "a photo of the", "\N{HOT BEVERAGE}"])
def test_a_caption_of_no_telling_word_changes_nothing(model, caption):
    (said,) = model.remarks(caption)
    assert "changes the picture" in said and "draws the same without it" in said


def test_of_a_caption_that_is_understood_in_part_the_unknown_words_are_named(model):
    (said,) = model.remarks("a red cat on a skateboard")
    assert "nothing" not in said
    assert 'knows no "cat", "skateboard", at best a guess in \'a red cat' in said


def test_the_picture_decides_and_not_the_words(model):
    captions = ["a cat", "a rose", "a red cat", "a cat rose", "a flower"]
    assert still(model, {caption: readable(model, caption) for caption in captions}) == [
        *("a cat", "a rose", "a cat rose"),
    ]


def levels(model, *captions):
    """How far the other captions' sketches lie from the first one's."""
    first, *others = model.mean_sketches(captions).float()
    return [float((first - other).abs().mean()) for other in others]


def with_word(model, vector):
    """Let the model's encoder read one more word, "faint"."""
    known = model.encoder
    table = np.vstack([known.vectors[: len(WORDS)], vector.astype(np.float32)])
    model.encoder = WordVectors([*WORDS, "faint"], table, name="faint")


def fading(model):
    """As "a faint" moves ever further from "a": {levels it moved: whether nothing changed}."""
    a, red = model.encoder.vectors[0], model.encoder.vectors[WORDS.index("red")]
    found = {}
    for share in np.geomspace(0.01, 0.5, 12):
        with_word(model, a + 2 * share * red)  # of "a faint" the mean: a + share * red
        (moved,) = levels(model, "a", "a faint")
        found[moved] = still(model, {"a faint": readable(model, "a faint")}) == ["a faint"]
    return found


def test_what_cannot_be_seen_is_no_change(tiny_model):
    found = fading(reads_with(tiny_model, reader()))
    assert found == {moved: moved < STILL[0] for moved in found}
    assert any(STILL[0] < moved < STILL[1] for moved in found), found


def test_what_wording_alone_moves_is_no_meaning(tiny_model):
    """Where captions of nothing lie far apart a caption must move more, up to ten levels."""
    model = reads_with(tiny_model, reader(function_words=1.0))
    assert max(levels(model, *NEUTRAL)) > STILL[1]
    found = fading(model)
    assert found == {moved: moved < STILL[1] for moved in found}
    assert any(STILL[0] < moved < STILL[1] for moved in found), found


def test_a_caption_near_to_any_caption_of_nothing_moves_nothing(tiny_model):
    model = reads_with(tiny_model, reader(function_words=1.0))
    with_word(model, model.encoder.vectors[WORDS.index("the")])
    assert levels(model, "?", "faint")[0] > STILL[1] > levels(model, "the", "faint")[0]
    assert still(model, {"faint": readable(model, "faint")}) == ["faint"]


def test_a_caption_is_compared_with_its_own_function_words_too(tiny_model):
    model = reads_with(tiny_model, reader(function_words=1.0))
    assert min(levels(model, "with", *NEUTRAL)) > STILL[1]
    assert still(model, {"with xyz": readable(model, "with xyz")}) == ["with xyz"]


def test_captions_of_one_matter_are_one_sentence(model):
    asked = ["a cat", "a dog", "a cat", "a red cat", "a rose", "red", *(f"x{c}" for c in "abcd")]
    idle, undrawn, guessed = model.remarks(asked)
    assert "nothing in 'a cat' (and 5 others) changes" in idle
    assert 'knows no "cat", "dog", "xa", "xb", "xc" and 1 more;' in idle
    assert "nothing in 'a rose' changes" in undrawn
    assert "guess in 'a red cat';" in guessed


def test_a_negation_is_said_in_one_sentence(model):
    (said,) = model.remarks(["a red flower without yellow petals", "no red petals", "a red flower"])
    assert 'does not understand "without", "no" in \'a red flower without' in said
    assert "(and 1 other): what is denied is read as if it were asked for" in said


def test_words_after_the_cut_are_neither_known_nor_unknown(tiny_model):
    model = StackGAN.from_pretrained(tiny_model, "cpu")
    caption = "pink " * 45 + "xyzzy not"  # the cut lies inside a word, which is not called "p"
    assert readable(model, caption).telling == ["pink"] * 40
    assert readable(model, caption).unknown == readable(model, caption).negations == []
    assert "reads 201 characters" in model.remarks(caption)[-1]
    whole = "pink " * 39 + "petals xyzzy"  # the cut lies after a whole word
    assert readable(model, whole).telling == ["pink"] * 39 + ["petals"]


def test_nothing_is_seeded_or_drawn_otherwise_for_having_been_remarked_on(model):
    before = model("a red cat").images[0].tobytes()
    model.remarks("a red cat")
    assert model("a red cat").images[0].tobytes() == before


def test_of_an_encoder_without_a_vocabulary_only_negations_are_said(tiny_model):
    encoder = load_model(tiny_model).encoder
    encoder.vocabulary = frozenset()  # as of the published encoders
    bare = reads_with(tiny_model, encoder)
    assert bare.remarks("a cat") == []
    assert len(bare.remarks("no cat")) == 1


def test_of_an_encoder_of_listed_captions_nothing_is_asked_that_it_has_not(tiny_model):
    listed = Precomputed(["a cat"], np.zeros((1, 16), np.float32), name="listed")
    assert reads_with(tiny_model, listed).remarks("a cat") == []


def test_the_shipped_model_says_what_a_newcomer_should_hear(shipped):
    (said,) = shipped.remarks("a cat")
    assert 'knows no "cat"' in said
    assert shipped.remarks("this flower has yellow petals") == []
