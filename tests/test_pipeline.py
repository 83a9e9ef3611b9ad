"""The whole path: captions and a seed to pictures."""

import dataclasses
import shutil

import pytest
import torch
from PIL import Image

import stackgan
from stackgan import InputError, StackGAN
from stackgan.devices import choose_device, sampling_dtype
from stackgan.hub import load_model, write_truncation
from stackgan.result import Result, read_fields, slug
from stackgan.systems.stackgan.build import build_stage1, build_stage2
from stackgan.tensors import to_pixels

PINK = "this flower has pink petals"
BLUE = "a blue flower"


@pytest.fixture(scope="module", params=["tiny_model", "modern_model"])
def model(request):
    return StackGAN.from_pretrained(request.getfixturevalue(request.param), device="cpu")


@pytest.fixture(scope="module")
def sketcher(tiny_stage1):
    return StackGAN.from_pretrained(tiny_stage1, device="cpu")


def difference(first, second):
    return int((first.int() - second.int()).abs().max())


def same(first, second):
    return [a.tobytes() for a in first] == [b.tobytes() for b in second]


def test_a_caption_gives_a_picture_and_its_sketch(model):
    result = model(PINK)
    assert [image.size for image in result.images] == [(256, 256)]
    assert [image.size for image in result.sketches] == [(64, 64)]
    assert (result.captions, result.seeds) == ([PINK], [0])
    assert len(set(result.images[0].tobytes())) > 50


def test_the_same_call_gives_the_same_bytes(model):
    assert same(model(PINK, 3, seed=5).images, model(PINK, 3, seed=5).images)


def test_a_model_loaded_again_draws_the_same(tiny_model):
    first, second = (StackGAN.from_pretrained(tiny_model, "cpu") for _ in range(2))
    assert same(first(PINK).images, second(PINK).images)


def test_picture_i_has_seed_plus_i_whatever_is_drawn_with_it(model):
    many = model([BLUE, PINK], num_images=3, seed=7)
    assert many.seeds == [7, 8, 9, 7, 8, 9]
    assert many.captions == [BLUE] * 3 + [PINK] * 3
    alone = model.draw([PINK], [9])
    together = model.draw(many.captions, many.seeds)
    assert difference(alone.pictures[0], together.pictures[5]) <= 2


@pytest.mark.parametrize("batch", [1, 2, 3, 7])
def test_across_batch_sizes_pixels_differ_by_at_most_two_levels(model, batch):
    captions, seeds = [PINK, BLUE] * 4, list(range(8))
    whole = model.draw(captions, seeds, batch=8)
    parts = model.draw(captions, seeds, batch=batch)
    assert torch.equal(whole.sketches, parts.sketches)  # on a CPU not even by one level
    assert torch.equal(whole.pictures, parts.pictures)


def test_on_a_cpu_pictures_pass_in_powers_of_two(model):
    sizes = []
    hooks = [
        network.register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
        for network in (model.stage1, model.stage2)
    ]
    model.refine(model(PINK, 3).sketches, PINK)
    model([PINK, BLUE], 11, stage=1)
    for hook in hooks:
        hook.remove()
    assert sizes == [2, 2, 1, 1, 2, 1, 8, 8, 4, 2]


@pytest.mark.parametrize("batch", [2, 4, 8])
def test_the_shipped_model_s_pictures_are_the_same_bytes_in_any_batch(batch):
    model = StackGAN.from_pretrained("flowers", device="cpu")
    captions, seeds = [PINK, BLUE] * 4, list(range(8))
    alone, together = (model.draw(captions, seeds, batch=n) for n in (1, batch))
    assert torch.equal(alone.sketches, together.sketches)
    assert torch.equal(alone.pictures, together.pictures)


def test_what_trains_literally_samples_fast(model):
    loaded = load_model(model.loaded.folder)
    a = loaded.architecture.model_copy(update={"arithmetic": "literal"})
    networks = [build_stage1(a), build_stage2(a)]
    for mine, theirs in zip(networks, (loaded.stage1, loaded.stage2), strict=True):
        mine.load_state_dict(theirs.state_dict())
    literal = dataclasses.replace(loaded, architecture=a, stage1=networks[0], stage2=networks[1])
    drawn = StackGAN(literal, "cpu").draw([PINK, BLUE], [0, 1])
    expected = model.draw([PINK, BLUE], [0, 1])
    assert torch.equal(drawn.pictures, expected.pictures)


def test_an_embedding_knows_no_other_caption(model):
    together = model.embed([PINK, BLUE, "white petals"])
    for caption, row in zip([PINK, BLUE], together, strict=False):
        assert torch.equal(model.embed([caption])[0], row)


def test_caption_and_seed_both_matter(model):
    base, caption, seed = model.draw([PINK, BLUE, PINK], [0, 0, 1]).pictures
    assert difference(base, caption) > 2
    assert difference(base, seed) > 2


def test_noise_and_both_eps_are_drawn_in_order_and_all_used(model):
    random = torch.Generator().manual_seed(11)
    expected = [torch.randn(size, generator=random) for size in (6, 8, 8)]
    chance = model.chance([11])
    for drawn, wanted in zip(chance, expected, strict=True):
        assert torch.equal(drawn[0], wanted)
    embedding = model.embed([PINK])
    base = model.render(embedding, chance, 2)
    for field in ("noise", "eps1", "eps2"):
        other = chance._replace(**{field: getattr(chance, field) + 3})
        changed = model.render(embedding, other, 2)
        assert difference(base.pictures, changed.pictures) > 0, field
        moved = difference(base.sketches, changed.sketches) > 0
        assert moved == (field != "eps2"), "eps2 belongs to Stage-II alone"


def test_nothing_outside_is_seeded_or_consumed(model):
    state = torch.get_rng_state()
    model(PINK, 2)
    assert torch.equal(torch.get_rng_state(), state)


def test_folded_and_lower_precision_pictures_are_close_to_the_plain_networks(model):
    loaded = load_model(model.loaded.folder)
    embedding, chance = model.embed([PINK, BLUE]), model.chance([0, 1])
    with torch.inference_mode():
        sketches = loaded.stage1(embedding, chance.noise, chance.eps1).images
        pictures = to_pixels(loaded.stage2(sketches, embedding, chance.eps2).images)
    drawn = model.draw([PINK, BLUE], [0, 1])
    levels = (drawn.pictures.float() - pictures.float()).abs()
    assert levels.mean() < (4 if model.dtype == torch.bfloat16 else 0.1)


def test_refining_the_sketches_of_a_call_gives_its_pictures(model):
    model = StackGAN.from_pretrained(model.loaded.folder, "cpu", precision="fp32")
    result = model(PINK, 2, seed=3)
    refined = model.refine(result.sketches, PINK, seed=3)
    assert refined.images[0].size == (256, 256)
    for drawn, again in zip(result.images, refined.images, strict=True):
        levels = torch.tensor(list(drawn.tobytes())) - torch.tensor(list(again.tobytes()))
        assert levels.abs().float().mean() < 3  # sketches are refined as they are shown, in levels
    assert same(refined.sketches, result.sketches)


def test_refine_reads_image_caption_and_seed(model):
    sketches = model(PINK, 2, seed=3).sketches
    base = model.refine(sketches[0], PINK)
    assert not same(base.images, model.refine(sketches[1], PINK).images)
    assert not same(base.images, model.refine(sketches[0], BLUE).images)
    assert not same(base.images, model.refine(sketches[0], PINK, seed=1).images)


def test_refine_takes_tensors_and_a_caption_for_each(model):
    pixels = model.generate_pixels([PINK, BLUE], [0, 1], stage=1)
    assert pixels.shape == (2, 3, 64, 64) and pixels.dtype == torch.uint8
    refined = model.refine(pixels, [PINK, BLUE])
    assert refined.captions == [PINK, BLUE] and len(refined) == 2
    bulk = model.refine_pixels(pixels, [PINK, BLUE], [0, 1], batch=1)
    assert difference(bulk[1], model.refine_pixels(pixels[1:], [BLUE], [1])[0]) <= 2


@pytest.mark.parametrize(
    ("images", "captions", "message"),
    [
        (Image.new("RGB", (65, 64)), PINK, "65x64"),
        ([Image.new("RGB", (64, 64)), Image.new("RGB", (32, 32))], PINK, "image 2 is 32x32"),
        ([Image.new("RGB", (64, 64))] * 2, [PINK] * 3, "2 images and 3 captions"),
        (torch.zeros(1, 3, 64, 64), PINK, "float32"),
        (torch.zeros(1, 3, 64, 32, dtype=torch.uint8), PINK, "32x64"),
        ([], PINK, "no image"),
    ],
)
def test_refine_says_what_it_cannot_use(model, images, captions, message):
    with pytest.raises(InputError, match=message):
        model.refine(images, captions)


def test_the_ends_of_an_interpolation_are_plain_generations(model):
    row = model.interpolate(PINK, BLUE, steps=4, seed=6)
    assert len(row) == 4
    ends = model.draw([PINK, BLUE], [6, 6]).pictures
    for place, end in ((0, ends[0]), (3, ends[1])):
        found = torch.tensor(list(row.images[place].tobytes()))
        plain = end.permute(1, 2, 0).flatten()
        assert difference(found, plain) <= 2


def test_without_a_seed_interpolation_has_no_chance_at_all(model):
    row = model.interpolate(PINK, BLUE, steps=2)
    for image, caption in zip(row.images, (PINK, BLUE), strict=True):
        plain = model(caption, truncation=0.0).images[0].tobytes()
        pairs = zip(image.tobytes(), plain, strict=True)
        assert max(abs(a - b) for a, b in pairs) <= 2


def test_interpolation_steps_are_even_in_the_embedding(model):
    start, end = model.embed([PINK, BLUE])
    chance = model.chance([6])
    middle = model.render(((start + end) / 2)[None], chance, 2).pictures[0]
    row = model.interpolate(PINK, BLUE, steps=3, seed=6)
    found = torch.tensor(list(row.images[1].tobytes()))
    assert difference(found, middle.permute(1, 2, 0).flatten()) <= 2


def test_truncation_narrows(model):
    def spread(truncation):
        return model.draw([PINK] * 6, range(6), 1, truncation=truncation).sketches.float().std(0)

    assert spread(0.0).max() == 0
    assert spread(0.3).mean() < spread(1.0).mean()


@pytest.fixture(scope="module")
def calm(tmp_path_factory, tiny_model):
    """The tiny model with a truncation of its own."""
    folder = shutil.copytree(tiny_model, tmp_path_factory.mktemp("calm") / "tiny")
    write_truncation(folder, 0.4)
    return StackGAN.from_pretrained(folder, "cpu")


def test_without_a_truncation_the_model_s_own_is_used(calm, tiny_model):
    wild = StackGAN.from_pretrained(tiny_model, "cpu")
    assert (calm.truncation, wild.truncation) == (0.4, 1.0)
    assert same(calm(PINK).images, wild(PINK, truncation=0.4).images)
    assert same(calm(PINK, truncation=1.0).images, wild(PINK).images)
    assert same(calm(PINK, 2, truncation=0.0).images[:1], wild(PINK, 2, truncation=0.0).images[1:])
    assert torch.equal(calm.draw([PINK], [3]).pictures, wild.draw([PINK], [3], None, 1, 0.4)[1])
    assert not same(calm(PINK).images, wild(PINK).images)


def test_what_is_drawn_in_bulk_knows_no_truncation(calm, tiny_model):
    wild = StackGAN.from_pretrained(tiny_model, "cpu")
    plain = wild.draw([PINK, BLUE], [0, 1])
    assert torch.equal(calm.generate_pixels([PINK, BLUE], [0, 1]), plain.pictures)
    refined = [each.refine_pixels(plain.sketches, [PINK, BLUE], [0, 1]) for each in (calm, wild)]
    assert torch.equal(*refined)
    asked = calm.generate_pixels([PINK], [0], truncation=None)
    assert torch.equal(asked, calm.draw([PINK], [0]).pictures)


def test_a_model_s_own_truncation_holds_for_refine_and_interpolate(calm):
    result = calm(PINK, 2, seed=3)
    pixels = torch.stack([torch.tensor(list(image.tobytes())) for image in result.images])
    refined = calm.refine(result.sketches, PINK, seed=3)
    again = torch.stack([torch.tensor(list(image.tobytes())) for image in refined.images])
    assert (pixels - again).abs().float().mean() < 3
    other = calm.refine(result.sketches, PINK, seed=3, truncation=1.0)
    assert not same(other.images, refined.images)
    row = calm.interpolate(PINK, BLUE, steps=2, seed=6)
    assert same(row.images, calm([PINK, BLUE], seed=6).images)
    assert (row.truncation, calm.interpolate(PINK, BLUE, 2).truncation) == (0.4, 0.0)
    assert (refined.truncation, other.truncation) == (0.4, 1.0)


def test_one_picture_several_times_is_said(model):
    (said,) = model.remarks(PINK, 4, 0.0)
    assert said.startswith("truncation 0 leaves nothing to chance: the 4 pictures")
    assert len({image.tobytes() for image in model(PINK, 4, truncation=0.0).images}) == 1
    assert (
        model.remarks(PINK, 1, 0.0) == model.remarks(PINK, 4, 0.1) == model.remarks(PINK, 4) == []
    )


def test_stage_one_gives_the_sketches(model):
    result = model(PINK, 2, stage=1)
    assert same(result.images, result.sketches)
    assert same(result.sketches, model(PINK, 2, stage=2).sketches)


def test_a_sketcher_gives_sketches_and_says_that_it_cannot_paint(sketcher):
    assert sketcher(PINK).images[0].size == (64, 64)
    with pytest.raises(InputError, match="Stage-I only"):
        sketcher(PINK, stage=2)
    with pytest.raises(InputError, match="Stage-I only"):
        sketcher.refine(Image.new("RGB", (64, 64)), PINK)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"captions": ""}, "caption 1 is ''"),
        ({"captions": [PINK, "  "]}, "caption 2"),
        ({"captions": []}, "no caption"),
        ({"captions": PINK, "num_images": 0}, "num_images is 0"),
        ({"captions": PINK, "seed": -1}, "seed is -1"),
        ({"captions": PINK, "seed": 2**63}, "seed is"),
        ({"captions": PINK, "stage": 3}, "stage is 3"),
        ({"captions": PINK, "truncation": -0.5}, "truncation"),
        ({"captions": PINK, "truncation": float("nan")}, "truncation"),
        ({"captions": PINK, "truncation": float("inf")}, "truncation"),
    ],
)
def test_what_cannot_be_drawn_is_said(model, arguments, message):
    with pytest.raises(InputError, match=message):
        model(**arguments)


def test_captions_and_seeds_must_be_as_many(model):
    with pytest.raises(InputError, match="2 captions and 1 seeds"):
        model.draw([PINK, BLUE], [0])


def test_progress_ends_at_the_total(model):
    seen = []
    model(PINK, 10, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(8, 10), (10, 10)]


def test_devices():
    assert choose_device("cpu") == torch.device("cpu")
    assert sampling_dtype(torch.device("cuda")) == torch.float32
    with pytest.raises(InputError, match="'gpu'"):
        choose_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="no cuda device"):
            choose_device("cuda")


def test_every_png_tells_caption_seed_model_and_version(model, tmp_path):
    caption = "a flower with pink petals, naïve 花 “quoted”"
    result = model([caption, PINK], 2, seed=4)
    paths = result.save(tmp_path / "out")
    assert len(set(paths)) == 4
    for index, path in enumerate(paths):
        assert read_fields(path) == {
            "caption": result.captions[index],
            "seed": str(result.seeds[index]),
            "model": model.name,
            "version": stackgan.__version__,
            "truncation": "1.0",
        }
        with Image.open(path) as stored:
            assert stored.convert("RGB").tobytes() == result.images[index].tobytes()


def test_a_saved_file_is_the_same_bytes_again(model, tmp_path):
    first = model(PINK).save(tmp_path / "a")[0].read_bytes()
    assert model(PINK).save(tmp_path / "b")[0].read_bytes() == first


def test_a_failed_save_leaves_the_older_picture_and_no_scratch(model, tmp_path, monkeypatch):
    path = model(PINK).save(tmp_path)[0]
    before = path.read_bytes()

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(path), "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        model(PINK, seed=0).save(tmp_path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_file_names_are_safe_and_never_twice_the_same(tmp_path):
    assert slug("A flower, with PINK petals!") == "a-flower-with-pink-petals"
    assert slug("../../etc/passwd") == "etc-passwd"
    assert slug("?!") == "picture"
    assert len(slug("word " * 50)) <= 60
    red, same = Image.new("RGB", (8, 8), "red"), [PINK, PINK.upper(), PINK]
    result = Result([red] * 3, [red] * 3, same, [1, 1, 2], "m", "v")
    assert [path.name for path in result.save(tmp_path)] == [
        "this-flower-has-pink-petals-1.png",
        "this-flower-has-pink-petals-1-2.png",
        "this-flower-has-pink-petals-2.png",
    ]
    twice = Result([red] * 2, [red] * 2, [PINK] * 2, [5, 5], "m", "v").save(tmp_path)
    assert [path.name[-8:] for path in twice] == ["ls-5.png", "-5-2.png"]


def test_a_grid_holds_every_picture_and_its_labels(model):
    result = model([PINK, BLUE], 2)
    plain, labelled = result.grid(label=False), result.grid()
    assert labelled.height > plain.height and labelled.width == plain.width == 524
    boxes = [(4, 4), (264, 4), (4, 264), (264, 264)]
    for image, (x, y) in zip(result.images, boxes, strict=True):
        assert plain.crop((x, y, x + 256, y + 256)).tobytes() == image.tobytes()
    boxes = [(4, 22), (264, 22), (4, 318), (264, 318)]  # 18 px for the caption, 18 for the seeds
    for image, (x, y) in zip(result.images, boxes, strict=True):
        assert labelled.crop((x, y, x + 256, y + 256)).tobytes() == image.tobytes()
    label = labelled.crop((4, 4, 300, 20))
    assert len(set(label.convert("L").tobytes())) > 2, "the caption is drawn"


def test_a_grid_wraps_after_eight(sketcher):
    grid = sketcher(PINK, 9).grid(label=False)
    assert grid.size == (8 * 68 + 4, 2 * 68 + 4)


def test_the_sketch_stands_beside_its_picture(model):
    result = model(PINK)
    (pair,) = result.pictures(sketches=True)
    assert pair.size == (516, 256)
    assert pair.crop((260, 0, 516, 256)).tobytes() == result.images[0].tobytes()
    enlarged = pair.crop((0, 0, 256, 256)).resize((64, 64), Image.Resampling.NEAREST)
    assert enlarged.tobytes() == result.sketches[0].tobytes()


def test_public_names_are_there_and_others_are_not():
    for name in stackgan.__all__:
        assert getattr(stackgan, name) is not None
    assert set(dir(stackgan)) == set(stackgan.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = stackgan.nothing
