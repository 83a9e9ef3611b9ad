"""The joint embedding: its losses, its training, the fold, captions for photographs."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stackgan.data import Example
from stackgan.errors import InputError, ModelError, NonFiniteLoss
from stackgan.joint import JointEmbedding
from stackgan.text import CharCnnRnn, load_encoder
from stackgan.text.char_cnn_rnn import Sizes
from stackgan.training import captioning, joint
from stackgan.training.encoder import (
    EncoderSettings,
    EncoderTraining,
    fold,
    train_encoder,
    train_on_examples,
)

TINY = Sizes(conv1=16, conv2=24, hidden=32, dim=32)
COLOURS = ["red", "yellow", "white", "purple", "orange", "blue"]
FAST = EncoderSettings(
    steps=60, batch=6, learning_rate=3e-3, word_drop=0.0, held_out=0.2, sizes=TINY, seed=1, pad=0
)


def coloured(
    views: int = 2,
) -> tuple[list[list[str]], list[str | None], torch.Tensor]:
    """60 images of 6 classes whose features and captions tell the colour."""
    random = torch.Generator().manual_seed(0)
    captions, classes, images = [], [], []
    for place in range(60):
        colour = place % 6
        name = COLOURS[colour]
        captions.append([f"this flower has {name} petals", f"petals of {name} and green leaves"])
        classes.append(name)
        images.append(torch.eye(6)[colour] + 0.1 * torch.randn(views, 6, generator=random))
    return captions, classes, torch.stack(images)


# ---- losses


def test_structured_loss_of_a_known_matrix() -> None:
    scores = torch.tensor([[2.0, 1.5], [0.0, 1.0]])
    # images: max(0, 1 + 1.5 - 2) + max(0, 1 + 0 - 1); captions: (1 + 0 - 2 -> 0) + (1 + 1.5 - 1)
    loss = joint.structured_loss(scores, torch.tensor([0, 1]))
    torch.testing.assert_close(loss, torch.tensor((0.5 + 0.0 + 0.0 + 1.5) / 2))


def test_structured_loss_is_symmetric_and_sees_no_pair_of_one_class() -> None:
    scores = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    classes = torch.tensor([0, 1, 2, 1, 3])
    torch.testing.assert_close(
        joint.structured_loss(scores, classes), joint.structured_loss(scores.T, classes)
    )
    moved = scores.clone()
    moved[1, 3] += 100
    moved[3, 1] += 100
    torch.testing.assert_close(
        joint.structured_loss(scores, classes), joint.structured_loss(moved, classes)
    )


def test_structured_loss_is_zero_past_the_margin_only() -> None:
    classes = torch.arange(3)
    assert joint.structured_loss(torch.eye(3) * 1.001, classes) == 0
    assert joint.structured_loss(torch.eye(3) * 0.999, classes) > 0


def test_contrastive_loss_of_equal_scores_is_log_b() -> None:
    loss = joint.contrastive_loss(torch.full((4, 4), 0.3), torch.tensor(10.0))
    torch.testing.assert_close(loss, torch.tensor(math.log(4)))
    sure = joint.contrastive_loss(torch.eye(4), torch.tensor(50.0))
    assert sure < 1e-6


def test_contrastive_loss_goes_in_both_directions() -> None:
    scores = torch.tensor([[1.0, 3.0], [1.0, 5.0]]).log()
    by_image = (math.log(4) + math.log(6 / 5)) / 2  # of a row: the own one among both
    by_caption = (math.log(2) + math.log(8 / 5)) / 2  # of a column
    loss = joint.contrastive_loss(scores, torch.tensor(1.0))
    torch.testing.assert_close(loss, torch.tensor((by_image + by_caption) / 2))


def test_retrieval_accuracy_counts_hits() -> None:
    images = torch.eye(3)
    captions = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 1, 0]])
    found = joint.retrieval_accuracy(images, ["a", "b", "c"], captions, ["a", "b", "c"])
    assert found == pytest.approx((2 / 3, 2 / 3))


# ---- training


@pytest.mark.parametrize("objective", ["structured", "contrastive"])
def test_training_finds_classes_it_could_not_find_before(objective: str) -> None:
    captions, classes, images = coloured()
    settings = dataclasses.replace(FAST, objective=objective)
    training = EncoderTraining(captions, classes, images, settings)
    before = training.accuracy(training.held_out)
    for _ in training.steps():
        pass
    after = training.accuracy(training.held_out)
    assert min(after) >= 0.9 and min(after) > min(before)


def test_the_same_seed_trains_the_same_encoder_and_another_seed_another() -> None:
    short = dataclasses.replace(FAST, steps=4, word_drop=0.3)
    torch.manual_seed(5)
    first, _ = train_encoder(*coloured(), short)
    torch.manual_seed(6)
    second, _ = train_encoder(*coloured(), short)
    other, _ = train_encoder(*coloured(), dataclasses.replace(short, seed=2))
    assert first.sha256 == second.sha256 != other.sha256


def test_training_leaves_the_global_random_stream_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train_encoder(*coloured(), dataclasses.replace(FAST, steps=2))
    assert torch.equal(torch.rand(3), expected)


def test_a_batch_of_the_structured_objective_has_one_pair_of_each_class() -> None:
    training = EncoderTraining(*coloured(), FAST)
    for _ in range(5):
        places, shown = training._draw()
        assert sorted(training.classes[place] for place in places) == sorted(COLOURS)
        assert all(
            line in training.captions[place] for place, line in zip(places, shown, strict=True)
        )


def test_the_hinge_starts_at_its_margin_in_the_published_sizes() -> None:
    captions, classes, _ = coloured()
    features = torch.randn(60, 2, 1280, generator=torch.Generator().manual_seed(0))
    settings = EncoderSettings(word_weight=0.0, feature_drop=0.0, batch=6)
    loss = EncoderTraining(captions, classes, features, settings)._loss()
    assert 0.8 * 10 < float(loss.detach()) < 1.2 * 10  # 2 x 5 other classes, margin 1 each


def test_held_out_images_are_never_drawn() -> None:
    training = EncoderTraining(*coloured(), FAST)
    drawn = {place for _ in range(60) for place in training._draw()[0]}
    assert len(training.held_out) == 12 and drawn.isdisjoint(training.held_out)


def test_without_classes_each_image_is_its_own() -> None:
    captions, _, images = coloured()
    training = EncoderTraining(captions, [None] * 60, images, FAST)
    assert len(training.members) == 48
    next(iter(training.steps()))


def test_dropped_words_leave_something_to_read() -> None:
    training = EncoderTraining(*coloured(), dataclasses.replace(FAST, word_drop=0.9))
    shown = [training._shown("this flower is red") for _ in range(50)]
    assert all(line.strip() for line in shown) and len(set(shown)) > 3


def test_ctrl_c_finishes_the_encoder_so_far() -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    encoder, report = train_encoder(*coloured(), FAST, progress=stop)
    assert report.steps == 3
    assert encoder.encode(["red petals"]).shape == (1, 32)


def test_a_loss_that_is_not_finite_stops_in_a_sentence() -> None:
    captions, classes, images = coloured()
    training = EncoderTraining(captions, classes, images, FAST)
    training.projection.weight.data.fill_(math.inf)
    with pytest.raises(NonFiniteLoss, match="step 1"):
        next(iter(training.steps()))


@pytest.mark.parametrize(
    ("captions", "classes", "count", "message"),
    [
        ([["a"], ["b"]], ["x", "x"], 2, "one class"),
        ([["a"], []], ["x", "y"], 2, "at least two"),
        ([["a"], ["b"]], ["x", "y"], 3, "3 images"),
    ],
)
def test_a_set_that_cannot_be_trained_on_is_refused(
    captions: list[list[str]], classes: list[str], count: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        EncoderTraining(captions, classes, torch.zeros(count, 1, 6), FAST)


def test_the_report_is_a_sentence() -> None:
    _, report = train_encoder(*coloured(), dataclasses.replace(FAST, steps=2))
    assert str(report).startswith("2 steps, loss") and "12 held-out images" in str(report)


# ---- the fold


def test_folding_gives_mean_zero_and_mean_norm_ten() -> None:
    torch.manual_seed(0)
    encoder = CharCnnRnn(TINY).eval().requires_grad_(False)
    captions = [line for lines in coloured()[0] for line in lines]
    before = encoder.encode(captions)
    mean, scale = fold(encoder, captions)
    after = encoder.encode(captions)
    assert after.mean(0).abs().max() < 1e-4
    torch.testing.assert_close(after.norm(dim=1).mean(), torch.tensor(10.0), rtol=1e-2, atol=0)
    centred = before - before.mean(0)
    assert torch.nn.functional.cosine_similarity(after, centred).min() > 0.99
    torch.testing.assert_close(after / scale + mean, before, atol=0.02, rtol=0.05)


def test_the_fold_is_undone_where_captions_meet_photographs() -> None:
    captions, classes, _ = coloured()
    pixels = torch.randint(
        0, 256, (60, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    settings = dataclasses.replace(FAST, image_network="small", steps=3)
    training = EncoderTraining(captions, classes, pixels, settings)
    for _ in training.steps():
        pass
    lines = [line for pair in captions[:6] for line in pair]
    trained = training.encoder.encode(lines)
    encoder, _ = training.finish()
    found = JointEmbedding(encoder).of_captions(lines)
    assert (found - trained).norm() < 0.03 * trained.norm()


def test_the_file_computes_what_the_folded_encoder_computes(tmp_path: Path) -> None:
    encoder, _ = train_encoder(*coloured(), dataclasses.replace(FAST, steps=3))
    loaded = load_encoder(encoder.save(tmp_path))
    lines = ["this flower has red petals", "white"]
    assert torch.equal(loaded.encode(lines), encoder.encode(lines))
    assert all(torch.equal(loaded.extra[key], value) for key, value in encoder.extra.items())
    assert {"flower", "red", "leaves"} <= loaded.vocabulary


def test_the_image_side_in_the_file_is_the_trained_one() -> None:
    training = EncoderTraining(*coloured(), FAST)
    for _ in training.steps():
        pass
    with torch.no_grad():
        expected = training._image_side([0, 1, 2], training=False)
    encoder, _ = training.finish()
    weight, bias = (encoder.extra[f"image_projection.{part}"] for part in ("weight", "bias"))
    found = coloured()[2][:3, 0] @ weight.T + bias
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0.05)


# ---- photographs


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Example]]:
    root = tmp_path_factory.mktemp("photographs")
    levels = {"red": (220, 20, 20), "yellow": (230, 220, 10), "blue": (20, 30, 220)}
    random = np.random.default_rng(0)
    examples = []
    for place in range(36):
        name = list(levels)[place % 3]
        (root / name).mkdir(exist_ok=True)
        noise = random.integers(-15, 15, (70, 70, 3))
        pixels = np.clip(np.array(levels[name]) + noise, 0, 255).astype(np.uint8)
        path = root / name / f"{place:02}.png"
        Image.fromarray(pixels).save(path)
        captions = (f"this flower is {name}", f"a flower with {name} petals")
        examples.append(Example(path, captions, name))
    return root, examples


@pytest.fixture(scope="module")
def trained(
    photographs: tuple[Path, list[Example]], tmp_path_factory: pytest.TempPathFactory
) -> CharCnnRnn:
    settings = dataclasses.replace(
        FAST, image_network="small", steps=80, batch=3, learning_rate=1e-3, held_out=0.0
    )
    folder = tmp_path_factory.mktemp("encoder")
    encoder, report = train_on_examples(photographs[1], settings, cache=folder / "cache")
    assert report.image_to_class == 1.0
    return load_encoder(encoder.save(folder))


def test_photographs_get_captions_of_their_colour(
    photographs: tuple[Path, list[Example]], trained: CharCnnRnn
) -> None:
    root, examples = photographs
    paths = captioning.photographs(root)
    entries = captioning.caption_photographs(JointEmbedding(trained), examples, root, paths, top=2)
    assert len(entries) == 36
    for entry in entries:
        assert entry.class_ == entry.file_name.split("/")[0]
        assert len(set(entry.text)) == 2
        assert all(str(entry.class_) in line for line in entry.text)


def test_a_class_map_allows_captions_of_its_classes_only(
    photographs: tuple[Path, list[Example]], trained: CharCnnRnn, tmp_path: Path
) -> None:
    root, examples = photographs
    entries = captioning.caption_photographs(
        JointEmbedding(trained),
        examples,
        root,
        captioning.photographs(root),
        top=5,
        class_map={"red": ["blue"]},
    )
    of_red = [entry for entry in entries if entry.class_ == "red"]
    assert all(len(entry.text) == 2 and "blue" in entry.text[0] for entry in of_red)
    captioning.write_metadata(tmp_path / "metadata.jsonl", entries)
    rows = [json.loads(line) for line in (tmp_path / "metadata.jsonl").read_text().splitlines()]
    assert rows[0].keys() == {"file_name", "text", "class", "source"}
    assert [path.name for path in tmp_path.iterdir()] == ["metadata.jsonl"]


def test_an_unknown_class_of_the_map_is_named(
    photographs: tuple[Path, list[Example]], trained: CharCnnRnn
) -> None:
    root, examples = photographs
    with pytest.raises(InputError, match=r"'blu'.*'blue'"):
        captioning.caption_photographs(
            JointEmbedding(trained),
            examples,
            root,
            captioning.photographs(root),
            class_map={"red": ["blu"]},
        )


@pytest.mark.parametrize(("paths", "hint"), [(True, "'red'"), (False, "there is no sub-folder")])
def test_an_unknown_sub_folder_of_the_map_is_named(
    photographs: tuple[Path, list[Example]], trained: CharCnnRnn, paths: bool, hint: str
) -> None:
    root, examples = photographs
    found = captioning.photographs(root) if paths else []
    with pytest.raises(InputError, match=f"'rde'.*{hint}"):
        captioning.caption_photographs(
            JointEmbedding(trained), examples, root, found, class_map={"rde": ["blue"]}
        )


def test_an_encoder_without_image_side_cannot_caption() -> None:
    with pytest.raises(ModelError, match="no image side"):
        JointEmbedding(CharCnnRnn(TINY))


def test_the_small_network_reads_64_pixels_only() -> None:
    settings = dataclasses.replace(FAST, image_network="small", image_px=32)
    with pytest.raises(InputError, match="reads 64"):
        EncoderTraining([["a"], ["b"]], ["x", "y"], torch.zeros(2, 3, 32, 32), settings)


def test_frozen_features_are_computed_once(
    photographs: tuple[Path, list[Example]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stackgan.data.cache import prepare_cache

    class Means(torch.nn.Module):
        calls = 0

        def __init__(self, variant: int) -> None:
            super().__init__()
            assert variant == 1

        def features(self, pixels: torch.Tensor) -> torch.Tensor:
            Means.calls += 1
            return pixels.float()[:, :, :, 0].flatten(1)

    monkeypatch.setattr(joint, "EfficientNetLite", Means)
    cache = prepare_cache(photographs[1], 16, tmp_path)
    first = joint.cached_features(cache)
    calls = Means.calls
    assert torch.equal(joint.cached_features(cache), first) and Means.calls == calls
    pixels = torch.from_numpy(np.array(cache.pixels)).float()
    torch.testing.assert_close(first[:, 0], pixels[:, :, 0].permute(0, 2, 1).flatten(1))
    torch.testing.assert_close(first[:, 1], pixels[:, :, -1].permute(0, 2, 1).flatten(1))
    next(tmp_path.glob("*.lite1.npz")).write_bytes(b"damaged")
    assert torch.equal(joint.cached_features(cache), first) and Means.calls > calls


def test_frozen_features_go_on_after_a_break(
    photographs: tuple[Path, list[Example]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stackgan.data.cache import prepare_cache

    seen: list[int] = []

    class Counting(torch.nn.Module):
        def __init__(self, variant: int) -> None:
            super().__init__()

        def features(self, pixels: torch.Tensor) -> torch.Tensor:
            seen.append(len(pixels))
            return pixels.float()[:, :, :, 0].flatten(1)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(joint, "EfficientNetLite", Counting)
    examples = (photographs[1] * 3)[:100]
    cache = prepare_cache(examples, 16, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        joint.cached_features(cache, stop)
    features = joint.cached_features(cache)
    assert seen == [64, 64, 36, 36] and len(features) == 100
    assert torch.equal(features[:28], features[36:64])  # the same photographs again


# ---- wordings, and spaces before a caption


def test_losses_leave_out_what_fits_beside_its_own() -> None:
    scores = torch.tensor([[1.0, 3.0], [2.0, 1.0]])
    fits = torch.tensor([[True, True], [False, False]])  # caption 1 describes image 0 as well
    loss = joint.contrastive_loss(scores, torch.tensor(1.0), fits)
    rows = [0.0, math.log1p(math.e)]
    columns = [math.log1p(math.e), 0.0]
    torch.testing.assert_close(loss, torch.tensor((sum(rows) + sum(columns)) / 4))
    hinge = joint.structured_loss(scores, torch.tensor([0, 1]), fits=fits)
    torch.testing.assert_close(hinge, torch.tensor((2.0 + 2.0) / 2))
    for loss in (joint.contrastive_loss(scores, torch.tensor(2.0), torch.eye(2) > 0),):
        torch.testing.assert_close(loss, joint.contrastive_loss(scores, torch.tensor(2.0)))


def test_a_share_of_the_captions_shown_are_wordings_that_fit_their_class() -> None:
    captions, classes, images = coloured()
    settings = dataclasses.replace(FAST, wordings_share=0.5, batch=40, objective="contrastive")
    names = [["rose", "tulip"][place % 2] for place in range(60)]
    training = EncoderTraining(captions, classes, images, settings, names)
    assert {"rose", "tulips", "please"} <= training.encoder.vocabulary
    assert "rose" in training.word_place
    shown_typed, drawn = 0, 0
    for _ in range(20):
        places, shown = training._draw()
        fits = training._fits(places, shown)
        assert fits is not None
        for column, (place, line) in enumerate(zip(places, shown, strict=True)):
            is_typed = line in training.wordings[place]
            shown_typed, drawn = shown_typed + is_typed, drawn + 1
            assert is_typed or not fits[:, column].any()
            assert bool(fits[column, column]) == is_typed
    assert 0.4 < shown_typed / drawn < 0.6
    assert EncoderTraining(captions, classes, images, FAST)._fits(places, shown) is None


def test_a_trained_encoder_reads_its_pad_and_keeps_it(tmp_path: Path) -> None:
    encoder, _ = train_encoder(*coloured(), dataclasses.replace(FAST, steps=2, pad=8))
    loaded = load_encoder(encoder.save(tmp_path))
    assert isinstance(loaded, CharCnnRnn)
    assert loaded.pad == 8 and loaded.length == 193 and "pad" not in loaded.notes
    assert torch.equal(loaded.encode(["red flower"]), encoder.encode(["red flower"]))
    plain = CharCnnRnn(TINY)
    plain.load_state_dict(loaded.state_dict())
    torch.testing.assert_close(
        plain.encode([" " * 8 + "red flower"]), loaded.encode(["red flower"])
    )
    assert (plain.encode(["red flower"]) - loaded.encode(["red flower"])).abs().max() > 1e-3
    long = "flower " * 40
    assert torch.equal(loaded.encode([long[:193]]), loaded.encode([long]))
    assert not torch.equal(loaded.encode([long[:170]]), loaded.encode([long]))


def test_spaces_before_a_caption_differ_while_it_is_trained() -> None:
    training = EncoderTraining(*coloured(), dataclasses.replace(FAST, pad=8))
    rows = training._numbers(["red"] * 200)
    found = {int((row == 69).sum()) for row in rows}
    assert found == set(range(4, 13))
