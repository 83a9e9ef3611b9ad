"""The fast step, sampler and batches do what the plain recipe does: losses, gradients, pictures."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from stackgan.evaluation.bench import recipe, setup
from stackgan.evaluation.bench.recipe import PlainStage, plain_load, plain_sample
from stackgan.evaluation.bench.setup import Bench, Pair, plain_stage, training_pair
from stackgan.hub import load_model
from stackgan.pipeline import Chance, StackGAN
from stackgan.tensors import to_pixels

BENCH = Bench(torch.device("cpu"), quick=True)
Named = dict[str, Tensor]


def watched(optimizer: torch.optim.Optimizer, network: torch.nn.Module) -> Named:
    """Filled in a step with the gradients: the first, where the other network's come on top."""
    found: Named = {}

    def keep(weight: Tensor, name: str) -> None:
        assert weight.grad is not None
        found.setdefault(name, weight.grad.clone())

    for name, weight in network.named_parameters():
        weight.register_post_accumulate_grad_hook(partial(keep, name=name))
    for group in optimizer.param_groups:  # the discriminator that the generator meets stays
        group["lr"] = 0.0
    return found


def gradients_of(stage: object, step: Callable[[], dict[str, Tensor]]) -> tuple[Named, Named]:
    """Of discriminator and generator, of one step."""
    critic = watched(stage.discriminator_optimizer, stage.discriminator)  # type: ignore[attr-defined]
    generator = watched(stage.generator_optimizer, stage.generator)  # type: ignore[attr-defined]
    step()
    return critic, generator


def distance(found: Named, expected: Named) -> float:
    """Length of the difference, of the length of what is expected."""
    assert found.keys() == expected.keys()
    one, two = (torch.cat([x[n].double().flatten() for n in expected]) for x in (found, expected))
    return float((one - two).norm() / two.norm())


def exact(pair: Pair, number: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Named, Named]:
    """The gradients by the plain recipe in float64."""
    stage: PlainStage = plain_stage(BENCH, number, fast=pair.fast)  # type: ignore[arg-type]
    for network in (stage.generator, stage.discriminator, stage.sketcher):
        if network is not None:
            network.double()
    with monkeypatch.context() as patch:
        patch.setattr(Tensor, "float", lambda tensor: tensor.double())
        embedding = pair.embedding.double()
        return gradients_of(stage, lambda: setup.one_plain_step(stage, pair.pixels, embedding))


@pytest.mark.parametrize("networks", ["published", "shipped"])
@pytest.mark.parametrize("number", [1, 2])
def test_losses_agree_in_float32(number: int, networks: str) -> None:
    pair = training_pair(BENCH, number, 3, networks, bf16=False)  # type: ignore[arg-type]
    fast, plain = pair.fast_step(), pair.plain_step()
    for name in plain:
        assert float(fast[name]) == pytest.approx(float(plain[name]), rel=1e-4), name


def test_gradients_agree_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """To 1e-4 where no unit lies within rounding of zero; to the plain recipe's own distance from
    float64 (times a few) where some of the many do, as in Stage-II.
    """
    for number, bounds in ((1, (1e-4, 1e-4)), (2, (0.02, 0.05))):
        pair = training_pair(BENCH, number, 3, bf16=False)  # type: ignore[arg-type]
        expected = exact(pair, number, monkeypatch)
        found = gradients_of(pair.fast, pair.fast_step)
        distances = [distance(*both) for both in zip(found, expected, strict=True)]
        assert all(d <= bound for d, bound in zip(distances, bounds, strict=True)), distances


@pytest.mark.parametrize("number", [1, 2])
def test_bfloat16_is_as_near_as_autocast_of_the_plain_networks(
    number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses within 2 %, gradients no further than 1.6 times what autocast itself costs."""
    pair = training_pair(BENCH, number, 4, bf16=True)  # type: ignore[arg-type]
    expected = exact(pair, number, monkeypatch)
    said: list[dict[str, Tensor]] = []
    gradients_of(pair.plain, lambda: said.append(pair.plain_step()) or {})
    pair = training_pair(BENCH, number, 4, bf16=True)  # type: ignore[arg-type]
    reports: list[dict[str, Tensor]] = []
    found = gradients_of(pair.fast, lambda: reports.append(pair.fast_step()) or {})
    for name, value in said[0].items():
        assert float(reports[0][name]) == pytest.approx(float(value), rel=0.02), name
    in_float32 = recipe._cross_entropy

    def cross_entropy(logits: Tensor, target: float) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return in_float32(logits.float(), target)

    monkeypatch.setattr(recipe, "_cross_entropy", cross_entropy)
    with torch.autocast("cpu", torch.bfloat16):
        autocast = gradients_of(pair.plain, pair.plain_step)
    for fast, plain, wanted in zip(found, autocast, expected, strict=True):
        assert distance(fast, wanted) < 1.6 * distance(plain, wanted) + 0.01


def test_the_plain_networks_take_every_weight_of_the_fast_ones() -> None:
    for number in (1, 2):
        pair = training_pair(BENCH, number, 2)  # type: ignore[arg-type]
        for fast, plain in (
            (pair.fast.generator, pair.plain.generator),
            (pair.fast.discriminator, pair.plain.discriminator),
        ):
            carried = fast.state_dict()
            mine = plain.state_dict()
            assert carried.keys() == mine.keys()
            assert all(torch.equal(value, mine[name]) for name, value in carried.items())


def test_a_plain_step_passes_the_real_images_for_themselves_and_for_the_wrong_pairs() -> None:
    pair = training_pair(BENCH, 1, 3, bf16=False)
    passes: list[Tensor] = []
    pair.plain.discriminator.down[0].register_forward_pre_hook(  # type: ignore[index,union-attr]
        lambda _, inputs: passes.append(inputs[0].detach().clone())
    )
    pair.plain_step()
    real, wrong, fake, fake_again = passes
    assert torch.equal(real, wrong) and torch.equal(fake, fake_again)
    assert not torch.equal(real, fake)
    assert all(x.is_contiguous() for x in passes)


def pictures(model: StackGAN, batch: int) -> tuple[Tensor, Tensor]:
    """Of the fast path and of the plain one, uint8 [B, 3, P, P]."""
    loaded = model.loaded
    plain1, plain2 = setup._plain_generators(BENCH, loaded)
    chance = Chance(*model.chance(range(batch)))
    embedding = model.embed([f"a flower with {c} petals" for c in COLOURS[:batch]])
    with torch.no_grad():
        sketches = plain1(embedding, chance.noise, chance.eps1)[0]
        plain = to_pixels(plain2(sketches, embedding, chance.eps2)[0])
    fast = model.render(embedding, chance, 2).pictures
    assert fast is not None
    return fast, plain


COLOURS = ["pink", "yellow", "white", "red"]


def levels_apart(fast: Tensor, plain: Tensor) -> Tensor:
    return (fast.int() - plain.int()).abs()


def test_pictures_of_the_shipped_model_are_the_plain_ones() -> None:
    """Batch normalisation folded and bfloat16: within 2 levels for 99 % of the pixels."""
    plain_of = load_model("flowers")
    model = StackGAN(load_model("flowers"), "cpu")
    model.loaded = plain_of  # folding is in place
    apart = levels_apart(*pictures(model, 4)).amax(dim=1)
    assert (apart <= 2).float().mean() >= 0.99


def test_sketches_are_those_of_float32(tiny_model: Path) -> None:
    model, plain = StackGAN.from_pretrained(tiny_model, "cpu"), load_model(tiny_model)
    embedding, chance = model.embed(["a red flower"] * 8), model.chance(range(8))
    with torch.no_grad():
        expected = to_pixels(plain.stage1(embedding, chance.noise, chance.eps1).images)
    assert levels_apart(model.render(embedding, chance, 1).sketches, expected).max() <= 1


def test_the_published_sampler_cuts_where_ours_rounds() -> None:
    loaded = setup._published_model(BENCH)
    plain = setup._plain_generators(BENCH, loaded)
    random = torch.Generator().manual_seed(0)
    a = loaded.architecture
    embedding, noise, eps1, eps2 = (
        torch.randn(2, dim, generator=random)
        for dim in (a.embedding_dim, a.noise_dim, a.condition_dim, a.condition_dim)
    )
    levels = plain_sample(*plain, embedding, (noise, eps1, eps2))
    with torch.no_grad():
        sketches, _ = plain[0](embedding, noise, eps1)
        images, _ = plain[1](sketches, embedding, eps2)
    rounded = to_pixels(images).permute(0, 2, 3, 1).numpy().astype(int)
    assert levels.shape == (2, 256, 256, 3)
    assert set(np.unique(rounded - levels.astype(int))) == {0, 1}


def test_the_published_loader_crops_flips_and_scales(tmp_path: Path) -> None:
    ramp = np.zeros((50, 50, 3), dtype=np.uint8)
    ramp[:, :, 0] = np.arange(50) * 5
    file = tmp_path / "ramp.png"
    Image.fromarray(ramp).save(file)
    embeddings = np.arange(6, dtype=np.float32).reshape(1, 3, 2)
    random = np.random.default_rng(0)
    rising, drawn = set(), set()
    for _ in range(20):
        images, embedding = plain_load([file], embeddings, 64, random)
        assert images.shape == (1, 3, 64, 64) and images.is_contiguous()
        assert images.min() >= -1 and images.max() <= 1
        red = images[0, 0, 30]
        rising.add(bool(red[0] < red[-1]))
        assert (red.diff() * (1 if red[0] < red[-1] else -1) >= 0).all()
        drawn.add(tuple(embedding[0].tolist()))
    assert rising == {True, False} and len(drawn) == 3
