"""Wrong images, means of captions and other resizing: what the authors' code reads otherwise."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from stackgan.data.batches import Batches
from stackgan.data.cache import prepare_cache
from stackgan.data.examples import Example
from stackgan.data.images import to_square

COUNT = 240


def made(rows=None, classes=None, stored=8, count=COUNT, **more) -> Batches:
    """Image i is of level i everywhere; embedding row r is [r, 1]."""
    pixels = np.broadcast_to(
        np.arange(count, dtype=np.uint8)[:, None, None, None], (count, stored, stored, 3)
    ).copy()
    rows = rows or [tuple(range(5 * i, 5 * i + 5)) for i in range(count)]
    classes = classes or [f"class {i % 4}" for i in range(count)]
    highest = max(max(each) for each in rows)
    embeddings = torch.stack([torch.arange(highest + 1.0), torch.ones(highest + 1)], dim=1)
    return Batches(pixels, embeddings, rows, classes, 24, 8, seed=3, **more)


def levels(pixels: torch.Tensor) -> list[int]:
    assert pixels.float().std(dim=(1, 2, 3)).max() == 0
    return pixels[:, 0, 0, 0].tolist()


def test_a_wrong_image_is_another_example_s_beside_this_one_s_caption():
    batches, seen = made(wrong_pair="image"), []
    for epoch in range(20):
        batch = batches.batch(epoch, 0)
        assert levels(batch.pixels) == batch.indices.tolist()
        others = np.array(levels(batch.wrong_pixels))
        seen += list(zip(batch.indices.tolist(), others.tolist(), strict=True))
        assert torch.equal(batch.wrong_embedding, batch.embedding)
    assert len({other for _, other in seen}) > 150  # from everywhere
    alike = [(one, other) for one, other in seen if one % 4 == other % 4]
    # A quarter collides at first; moved on once and not looked at again, a quarter of these still.
    assert 0.02 < len(alike) / len(seen) < 0.12


def test_a_collision_moves_on_by_100_to_199():
    together = made(wrong_pair="image", classes=["one"] * (COUNT - 1) + ["two"])
    apart = made(wrong_pair="image", classes=[f"{i}" for i in range(COUNT)])
    for epoch in range(10):
        moved = np.array(levels(together.batch(epoch, 0).wrong_pixels))
        drawn = np.array(levels(apart.batch(epoch, 0).wrong_pixels))
        further = [(a - b) % COUNT for a, b in zip(moved, drawn, strict=True)]
        assert len(set(further) - {0}) == 1 and sum(step == 0 for step in further) <= 2
        assert 100 <= max(further) < 200


def test_a_wrong_image_is_cropped_and_flipped_afresh():
    pixels = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 3), dtype=np.uint8)
    embeddings = torch.arange(2.0)[:, None]
    batches = Batches(pixels, embeddings, [(0,), (1,)], ["a", "b"], 2, 8, 3, wrong_pair="image")
    windows = set()
    for epoch in range(200):
        for other in batches.batch(epoch, 0).wrong_pixels.permute(0, 2, 3, 1).numpy():
            windows.add(other.tobytes())
    possible = {
        np.ascontiguousarray(window[:, ::turn]).tobytes()
        for image in pixels
        for top in range(5)
        for left in range(5)
        for window in [image[top : top + 8, left : left + 8]]
        for turn in (1, -1)
    }
    assert windows <= possible and len(windows) > 0.9 * len(possible)


def test_a_shifted_pair_is_left_to_the_step():
    batch = made(wrong_pair="shifted").batch(0, 0)
    assert torch.equal(batch.wrong_embedding, batch.embedding) and batch.wrong_pixels is None


@pytest.mark.parametrize("wrong_pair", ["image", "shifted"])
def test_images_and_neighbours_need_no_other_caption(wrong_pair):
    rows = [(0,)] * COUNT  # everything has the same caption
    made(rows=rows, wrong_pair=wrong_pair).batch(0, 0)


def test_the_mean_is_of_so_many_different_captions_of_the_example():
    batches, sums = made(captions_per_image=4), set()
    for epoch in range(30):
        batch = batches.batch(epoch, 0)
        assert torch.equal(batch.embedding[:, 1], torch.ones(24))
        rest = 4 * batch.embedding[:, 0] - 4 * 5 * batch.indices
        # Of 0..4 all but one: 10 less that one.
        assert set(rest.tolist()) <= {6.0, 7.0, 8.0, 9.0, 10.0}
        sums |= set(rest.tolist())
    assert len(sums) == 5


def test_fewer_captions_are_all_averaged():
    batch = made(captions_per_image=9).batch(0, 0)
    assert torch.equal(batch.embedding[:, 0], 5.0 * batch.indices + 2)


def test_wrong_captions_are_averaged_too_and_of_one_other_example():
    batches = made(captions_per_image=5)
    for epoch in range(5):
        batch = batches.batch(epoch, 0)
        partner = (batch.wrong_embedding[:, 0] - 2) / 5
        assert torch.equal(partner, partner.round())
        assert (partner % 4 != batch.indices % 4).all()


def test_a_caption_that_both_share_is_not_in_the_wrong_mean():
    rows = [(0, i + 1) for i in range(COUNT)]
    batches = made(rows=rows, captions_per_image=2)
    for epoch in range(5):
        batch = batches.batch(epoch, 0)
        assert (batch.wrong_embedding[:, 0] == batch.wrong_embedding[:, 0].round()).all()
        assert (batch.wrong_embedding[:, 0] >= 1).all()


def test_one_caption_is_drawn_as_ever():
    batch = made(captions_per_image=1).batch(0, 0)
    plain = made().batch(0, 0)
    assert torch.equal(batch.embedding, plain.embedding)
    assert torch.equal(batch.wrong_embedding, plain.wrong_embedding)


def picture() -> Image.Image:
    levels = np.random.default_rng(0).integers(0, 256, (500, 400, 3), dtype=np.uint8)
    return Image.fromarray(levels)


def test_photographs_are_resized_in_the_paper_s_way_or_the_authors_ways():
    image, size, bicubic = picture(), (76, 76), Image.Resampling.BICUBIC
    made = {
        resize: np.asarray(to_square(image, 76, "squeeze", None, resize))
        for resize in ("bicubic", "through_304", "bilinear")
    }
    assert np.array_equal(made["bicubic"], image.resize(size, bicubic))
    through = image.resize((304, 304), bicubic).resize(size, bicubic)
    assert np.array_equal(made["through_304"], through)
    assert np.array_equal(made["bilinear"], image.resize(size, Image.Resampling.BILINEAR))
    assert len({array.tobytes() for array in made.values()}) == 3
    large = to_square(image, 304, "squeeze", None, "through_304")
    assert np.array_equal(large, image.resize((304, 304), bicubic))


def test_each_way_has_a_cache_of_its_own(tmp_path):
    picture().save(tmp_path / "one.png")
    examples = [Example(tmp_path / "one.png", ("a caption",))]
    caches = [
        prepare_cache(examples, 76, tmp_path, resize=resize)
        for resize in ("bicubic", "through_304", "bilinear")
    ]
    assert len({cache.path for cache in caches}) == 3
    assert len({cache.pixels.tobytes() for cache in caches}) == 3
    assert caches[0].path == prepare_cache(examples, 76, tmp_path).path
