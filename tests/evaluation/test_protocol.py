"""Which pictures are drawn and compared, and what is told of them."""

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image

from stackgan.data import read_examples
from stackgan.errors import InputError
from stackgan.evaluation.protocol import choose, read_pixels, sentences, spread

CAPTIONS = ["this flower has pink petals", "a red flower", "white petals", "a blue flower"]


@pytest.fixture
def examples(tmp_path):
    """Eight captioned photographs, 80x64."""
    random = np.random.default_rng(0)
    for place in range(8):
        coarse = random.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((80, 64)).save(tmp_path / f"{place}.png")
        (tmp_path / f"{place}.txt").write_text(f"{CAPTIONS[place % 4]}\nanother sentence\n")
    return read_examples("folder", tmp_path, "all")


def test_examples_are_taken_evenly(examples):
    assert [example.image.stem for example in spread(examples, 4)] == ["0", "2", "5", "7"]
    assert spread(examples, None) == examples
    with pytest.raises(InputError, match="from 4 to 8"):
        spread(examples, 3)
    with pytest.raises(InputError, match="asked for 9"):
        spread(examples, 9)


def test_more_pictures_than_examples_go_round_all_captions(examples):
    first, second = CAPTIONS * 2, ["another sentence"] * 8
    assert sentences(examples, 20) == (first + second + first)[:20]
    assert sentences(examples, 6, copies=4) == [CAPTIONS[0]] * 4 + [CAPTIONS[1]] * 2
    with pytest.raises(InputError, match="copies is 0"):
        sentences(examples, 4, copies=0)


def test_photographs_are_fitted_as_for_training(examples):
    cropped, squeezed = read_pixels(examples, 32), read_pixels(examples, 32, "squeeze")
    assert cropped.shape == squeezed.shape == (8, 3, 32, 32)
    assert cropped.dtype == torch.uint8
    assert not torch.equal(cropped, squeezed)


def test_what_is_chosen_tells_itself(examples):
    plain, many = choose(examples, seed=3), choose(examples, 19, copies=2, split="folder all")
    assert plain.seeds == list(range(3, 11)) and plain.captions == CAPTIONS * 2
    assert len(many.captions) == len(many.seeds) == 19 and len(many.examples) == 8
    assert len(choose(examples, 4).examples) == 4
    assert many.split == "folder all" and many.seeds[0] == 0
    assert torch.equal(plain.photographs(32), read_pixels(examples, 32))
    squeezed = choose(examples, fit="squeeze")
    assert torch.equal(squeezed.photographs(32), read_pixels(examples, 32, "squeeze"))


def test_the_protocol_is_of_the_pictures_drawn(examples, tiny_model):
    from stackgan import StackGAN

    model = StackGAN.from_pretrained(tiny_model)
    chosen = choose(examples, 19, copies=2, seed=5, fit="squeeze", split="folder all")
    photographs = chosen.photographs(64)
    told = chosen.protocol(model, photographs, None)
    assert (told["N"], told["photographs"], told["split"]) == (19, 8, "folder all")
    assert told["captions"] == "every example's in turn, 2 in a row of each sentence"
    said = hashlib.sha256("\n".join(chosen.captions).encode()).hexdigest()
    assert told["captions sha256"] == said
    assert told["references sha256"] == hashlib.sha256(photographs.numpy().tobytes()).hexdigest()
    assert told["seed"].startswith("5 ") and told["extractor"] == "none"
    assert told["resize"].startswith("photographs to 64 px") and "(squeeze)" in told["resize"]
    plain = choose(examples).protocol(model, photographs, None)
    assert plain["captions"] == "the first of each example"
