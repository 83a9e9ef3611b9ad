"""Batches: what is drawn, from what, and that nothing but (seed, epoch, index) decides it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stackgan.data.batches import Batches, Typed
from stackgan.errors import InputError


def made(
    count=24, stored=8, image_px=8, batch_size=6, classes=None, rows=None, pixels=None, **more
) -> Batches:
    """Batches whose embedding row r is [r, r]; two captions an example unless ``rows``."""
    if rows is None:
        rows = [(2 * i, 2 * i + 1) for i in range(count)]
    if classes is None:
        classes = [f"class {i % 4}" for i in range(count)]
    if pixels is None:
        random = np.random.default_rng(1)
        pixels = random.integers(0, 256, (count, stored, stored, 3), dtype=np.uint8)
    highest = max(max(each) for each in rows)
    embeddings = torch.arange(highest + 1.0)[:, None].repeat(1, 2)
    return Batches(pixels, embeddings, rows, classes, batch_size, image_px, **{"seed": 3} | more)


def numbers(embedding: torch.Tensor) -> list[int]:
    return embedding[:, 0].int().tolist()


def same(one, other) -> bool:
    fields = zip(one[:-1], other[:-1], strict=True)
    return one.conditions == other.conditions == {} and all(
        a is b is None or torch.equal(a, b) for a, b in fields
    )


def test_every_level_survives():
    pixels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, 3).repeat(2, 0)
    batch = made(
        2, image_px=16, batch_size=2, pixels=pixels, classes=["a", "b"], shift_px=0, flip=False
    ).batch(0, 0)
    assert batch.pixels.dtype == torch.uint8
    assert torch.equal(batch.pixels[0, 0].flatten(), torch.arange(256, dtype=torch.uint8))


def test_channels_keep_their_order_and_lie_last_in_memory():
    pixels = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    pixels[..., 0], pixels[..., 1], pixels[..., 2] = 10, 20, 30
    found = made(2, batch_size=2, pixels=pixels, classes=["a", "b"]).batch(0, 0).pixels
    assert found.shape == (2, 3, 8, 8)
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert [found[:, c].unique().tolist() for c in range(3)] == [[10], [20], [30]]


def test_a_batch_is_a_function_of_seed_epoch_and_index_alone():
    one, other = made(stored=10), made(stored=10)
    for epoch, index in ((1, 2), (0, 0), (1, 0)):  # another order than below
        other.batch(epoch, index)
    assert same(one.batch(0, 1), other.batch(0, 1))
    assert same(one.batch(0, 1), one.batch(0, 1))
    assert not torch.equal(one.batch(0, 1).indices, one.batch(1, 1).indices)
    assert not torch.equal(one.batch(0, 1).indices, one.batch(0, 2).indices)
    another = made(stored=10, seed=4).batch(0, 1)
    assert not torch.equal(one.batch(0, 1).indices, another.indices)


def test_captions_crops_and_flips_differ_between_epochs():
    batches = made(2, stored=12, batch_size=2, classes=["a", "b"])
    by_example = [set(), set(), set()]
    for epoch in range(30):
        batch = batches.batch(epoch, 0)
        place = batch.indices.tolist().index(0)
        by_example[0].add(numbers(batch.embedding)[place])
        by_example[1].add(numbers(batch.wrong_embedding)[place])
        by_example[2].add(batch.pixels[place].numpy().tobytes())
    assert by_example[0] == {0, 1}
    assert by_example[1] == {2, 3}
    assert len(by_example[2]) > 20  # 50 crops and flips are possible


def test_the_batches_of_an_epoch_draw_apart():
    picture = np.random.default_rng(0).integers(0, 256, (1, 20, 20, 3), dtype=np.uint8)
    batches = made(12, pixels=picture.repeat(12, 0))  # only crops and flips tell them apart
    drawn = {batches.batch(0, index).pixels.numpy().tobytes() for index in range(2)}
    assert len(drawn) == 2


@pytest.mark.parametrize(("count", "batch_size"), [(24, 6), (25, 6), (29, 6), (6, 6), (7, 1)])
def test_no_example_is_seen_twice_an_epoch_and_only_a_partial_batch_is_left_out(count, batch_size):
    batches = made(count, batch_size=batch_size)
    assert batches.steps_per_epoch == count // batch_size
    seen = [
        int(i) for k in range(batches.steps_per_epoch) for i in batches.batch(5, k).indices.numpy()
    ]
    assert len(seen) == len(set(seen)) == count // batch_size * batch_size


def test_what_an_epoch_leaves_out_comes_in_another():
    batches = made(7, batch_size=6)
    assert {int(i) for epoch in range(20) for i in batches.batch(epoch, 0).indices} == set(range(7))


def test_the_embedding_is_of_the_examples_own_caption():
    batches = made()
    for index in range(batches.steps_per_epoch):
        batch = batches.batch(0, index)
        for example, row in zip(batch.indices.tolist(), numbers(batch.embedding), strict=True):
            assert row in (2 * example, 2 * example + 1)


@settings(max_examples=60, deadline=None)
@given(
    classes=st.lists(st.sampled_from(["a", "b", "c", None]), min_size=2, max_size=12),
    seed=st.integers(0, 10**6),
)
def test_the_wrong_partner_is_never_of_the_same_class(classes, seed):
    count = len(classes)
    batches = made(count, classes=classes, batch_size=count, seed=seed)
    named = {name for name in classes if name is not None}
    for epoch in range(4):
        batch = batches.batch(epoch, 0)
        pairs = zip(batch.indices.tolist(), numbers(batch.wrong_embedding), strict=True)
        for example, row in pairs:
            partner = row // 2
            assert partner != example
            if len(named) > 1 and classes[example] is not None:
                assert classes[partner] != classes[example]


def test_every_example_of_the_other_classes_is_an_equally_likely_partner():
    classes = ["a", "b", "b", "c", "a", "a"]
    batches = made(6, classes=classes)
    partners = Counter()
    for epoch in range(1200):
        batch = batches.batch(epoch, 0)
        place = batch.indices.tolist().index(1)
        partners[numbers(batch.wrong_embedding)[place] // 2] += 1
    assert set(partners) == {0, 3, 4, 5}
    assert all(240 < times < 360 for times in partners.values())  # 300 expected, deviation 15


@pytest.mark.parametrize("classes", [[None] * 5, ["a"] * 5, ["a", None, "a", "a", "a"]])
def test_without_two_classes_the_partner_is_any_other_example(classes):
    batches = made(5, classes=classes, batch_size=5)
    partners = set()
    for epoch in range(60):
        batch = batches.batch(epoch, 0)
        place = batch.indices.tolist().index(2)
        partners.add(numbers(batch.wrong_embedding)[place] // 2)
    assert partners == {0, 1, 3, 4}


def test_a_caption_that_is_shared_is_never_the_wrong_one():
    rows = [(0, 1), (0, 2), (0, 1, 3), (0,)]
    batches = made(4, rows=rows, classes=[None] * 4, batch_size=4)
    for epoch in range(100):
        batch = batches.batch(epoch, 0)
        for example, row in zip(
            batch.indices.tolist(), numbers(batch.wrong_embedding), strict=True
        ):
            assert row not in rows[example]


def test_a_rare_wrong_caption_is_found():
    rows = [tuple(range(500))] + [tuple(range(499))] * 40 + [(500,)]
    batches = made(42, rows=rows, classes=[None] * 42, batch_size=42)
    batch = batches.batch(0, 0)
    place = batch.indices.tolist().index(0)
    assert numbers(batch.wrong_embedding)[place] == 500


def test_an_example_without_any_wrong_caption_is_refused():
    with pytest.raises(InputError, match="example 0 has no wrong caption"):
        made(3, rows=[(0, 1), (0,), (1,)], classes=[None] * 3, batch_size=3)


def test_larger_images_are_cropped_inside_and_reach_every_place():
    pixels = np.zeros((1, 10, 10, 3), dtype=np.uint8)
    pixels[..., 0], pixels[..., 1] = np.mgrid[0:10, 0:10]
    pixels = pixels.repeat(8, 0)
    batches = made(8, pixels=pixels, image_px=8, batch_size=8, flip=False)
    corners = set()
    for epoch in range(40):
        found = batches.batch(epoch, 0).pixels.int()
        assert torch.equal(
            found[:, 0] - found[:, 0, :1, :1], torch.arange(8)[None, :, None].expand(8, 8, 8)
        )
        assert torch.equal(
            found[:, 1] - found[:, 1, :1, :1], torch.arange(8)[None, None].expand(8, 8, 8)
        )
        corners |= set(map(tuple, found[:, :2, 0, 0].tolist()))
    assert corners == {(top, left) for top in range(3) for left in range(3)}


def test_images_of_the_models_size_are_shifted_with_a_mirrored_border():
    pixels = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    batches = made(8, pixels=pixels, image_px=16, batch_size=8, shift_px=3, flip=False)
    padded = np.pad(pixels, ((0, 0), (3, 3), (3, 3), (0, 0)), mode="reflect")
    seen = set()
    for epoch in range(60):
        batch = batches.batch(epoch, 0)
        for example, found in zip(batch.indices.tolist(), batch.pixels, strict=True):
            places = [
                (top, left)
                for top in range(7)
                for left in range(7)
                if np.array_equal(
                    padded[example, top : top + 16, left : left + 16], found.permute(1, 2, 0)
                )
            ]
            assert len(places) == 1
            seen.update(places)
    assert seen == {(top, left) for top in range(7) for left in range(7)}


def test_the_usual_shift_is_a_sixteenth():
    assert made(image_px=8).shift_px == 0
    assert made(stored=64, image_px=64).shift_px == 4


@pytest.mark.parametrize("stored", [8, 9])
def test_half_of_the_images_are_mirrored_left_to_right_only(stored):
    pixels = np.random.default_rng(0).integers(0, 256, (8, stored, stored, 3), dtype=np.uint8)
    batches = made(8, pixels=pixels, image_px=stored, batch_size=8, shift_px=0)
    mirrored = 0
    for epoch in range(50):
        batch = batches.batch(epoch, 0)
        for example, found in zip(batch.indices.tolist(), batch.pixels.numpy(), strict=True):
            plain = pixels[example].transpose(2, 0, 1)
            is_mirrored = np.array_equal(found, plain[:, :, ::-1])
            assert is_mirrored or np.array_equal(found, plain)
            mirrored += is_mirrored
    assert 150 < mirrored < 250  # 200 expected, deviation 10


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch_size": 25}, "batch_size is 25 and there are 24"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"image_px": 9}, "stored at 8x8 and image_px is 9"),
        ({"shift_px": 8}, "expected from 0 to 7"),
        ({"shift_px": -1}, "expected from 0 to 7"),
        ({"seed": -1}, "seed is -1"),
        ({"classes": ["a"]}, "1 classes"),
        ({"count": 1, "batch_size": 1}, "a single example"),
        ({"rows": [(0,)] * 23 + [()]}, "example 23 has caption rows"),
        ({"rows": [(0,)] * 23 + [(-1,)]}, "example 23 has caption rows"),
    ],
)
def test_what_cannot_be_batched_is_refused_in_one_sentence(changes, words):
    rows = changes.get("rows")
    with pytest.raises(InputError, match=words):
        if rows and not rows[-1]:
            Batches(
                np.zeros((24, 8, 8, 3), np.uint8), torch.zeros(1, 2), rows, [None] * 24, 6, 8, 0
            )
        made(**changes)


@pytest.mark.parametrize(("epoch", "index"), [(0, 4), (0, -1), (-1, 0)])
def test_a_batch_that_does_not_exist_is_refused(epoch, index):
    with pytest.raises(InputError, match="an epoch has 4 batches"):
        made().batch(epoch, index)


def typed(share: float, count: int = 24) -> dict:
    """Wordings of 24 examples of 4 classes: rows 48 to 51 name the classes, 52 and 53 colours."""
    said = {48 + i: frozenset({f"name {i}"}) for i in range(4)}
    said |= {52: frozenset({"red"}), 53: frozenset({"blue"})}
    rows = [(48 + i % 4, 52 + i % 2) for i in range(count)]
    known = [said[first] | said[second] for first, second in rows]
    return {
        "rows": [(2 * i, 2 * i + 1) for i in range(count)],
        "typed": Typed(share, rows, said, known),
    }


def made_typed(share: float) -> Batches:
    more = typed(share)
    batches = made(rows=more["rows"], typed=more["typed"])
    batches.embeddings = torch.arange(54.0)[:, None].repeat(1, 2)
    return batches


@pytest.mark.parametrize("share", [0.0, 0.33, 1.0])
def test_wordings_take_their_share_and_wrong_ones_never_fit(share):
    batches, own, wrong = made_typed(share), [], []
    for epoch in range(60):
        for index in range(batches.steps_per_epoch):
            batch = batches.batch(epoch, index)
            for example, row, other in zip(
                batch.indices.tolist(),
                numbers(batch.embedding),
                numbers(batch.wrong_embedding),
                strict=True,
            ):
                own.append(row >= 48)
                wrong.append(other >= 48)
                assert row in (2 * example, 2 * example + 1) or row in batches.typed.rows[example]
                assert other // 2 % 4 != example % 4 or other >= 48
                if other >= 48:
                    assert not batches.typed.words[other] <= batches.typed.known[example]
    assert abs(np.mean(own) - share) < 0.05
    assert 0.6 * share <= np.mean(wrong) <= share + 0.05


def test_a_share_of_nothing_changes_no_draw_of_which_examples():
    one, other = made(), made_typed(0.5)
    for epoch in range(3):
        left, right = one.batch(epoch, 1), other.batch(epoch, 1)
        assert torch.equal(left.indices, right.indices) and torch.equal(left.pixels, right.pixels)
    assert same(other.batch(2, 0), made_typed(0.5).batch(2, 0))


def test_labels_are_the_classes_by_number_and_as_many_as_there_are():
    batches = made(24)
    assert batches.class_count == 4
    names: dict[int, set[int]] = {}
    for index in range(batches.steps_per_epoch):
        batch = batches.batch(0, index)
        assert batch.labels.dtype == torch.int64
        for example, label in zip(batch.indices.tolist(), batch.labels.tolist(), strict=True):
            names.setdefault(label, set()).add(example % 4)
    assert names == {0: {0}, 1: {1}, 2: {2}, 3: {3}}


@pytest.mark.parametrize(
    "classes", [[None] * 24, ["only"] * 24, ["a", None] * 12], ids=["none", "one", "some"]
)
def test_without_a_class_for_each_there_are_none_to_name(classes):
    batches = made(classes=classes)
    assert batches.class_count == 0
    labels = [batches.batch(0, index).labels.tolist() for index in range(4)]
    if classes[0] != "a":  # each example is a class of its own
        assert len({label for part in labels for label in part}) == 24
