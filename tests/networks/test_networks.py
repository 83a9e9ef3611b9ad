"""The blocks against their plain forms; every input and every parameter has an effect."""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.testing import assert_close

from stackgan.config import Architecture, load_settings
from stackgan.networks.blocks import ModulatedNorm
from stackgan.networks.conditioning import (
    ConditioningAugmentation,
    Gaussian,
    Standardised,
    measure_text,
)
from stackgan.networks.heads import JointLogits, MinibatchDeviation
from stackgan.networks.initialise import initialise
from stackgan.networks.layers import UpConv
from stackgan.systems.stackgan.build import build_discriminator, build_stage1, build_stage2
from stackgan.systems.stackgan.discriminators import Body, Discriminator, Heads

SMALL = Architecture(
    embedding_dim=12,
    condition_dim=6,
    noise_dim=5,
    text_dim=7,
    stage1_generator_width=8,
    stage1_discriminator_width=4,
    stage2_generator_width=8,
    stage2_discriminator_width=4,
    image_px=128,
)
MODERN = SMALL.model_copy(
    update={
        "conditioning": "bounded",
        "output": "residual",
        "normalisation": "none",
        "unconditional": True,
        "minibatch_deviation": True,
        "modulated": True,
        "residual_discriminator": True,
        "patches": True,
    }
)


@pytest.fixture(params=["paper", "modern", "spectral"])
def architecture(request: pytest.FixtureRequest) -> Architecture:
    if request.param == "spectral":
        return MODERN.model_copy(update={"stage2_normalisation": "spectral", "modulated": False})
    return SMALL if request.param == "paper" else MODERN


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=random(seed))


def test_the_transposed_up_block_is_nearest_then_convolution() -> None:
    conv = UpConv(5, 4).double()
    x = draw(2, 5, 6, 7).double().requires_grad_(True)
    fast, plain = conv(x), conv.plain(x)
    assert_close(fast, plain)
    target = draw(*fast.shape, seed=1).double()
    for y in (torch.autograd.grad((fast * target).sum(), [x, conv.weight]),):
        assert_close(y, torch.autograd.grad((plain * target).sum(), [x, conv.weight]))


def test_joint_logits_are_the_convolution_over_the_replicated_text() -> None:
    head = JointLogits(6, 3, "none").double()
    features, text = draw(2, 6, 4, 4).double(), draw(2, 3, seed=1).double()
    assert head.text is not None
    weight = torch.cat([head.image.weight, head.text.weight[:, :, None, None]], dim=1)
    joined = torch.cat([features, text[:, :, None, None].expand(-1, -1, 4, 4)], dim=1)
    joint = nn.functional.conv2d(joined, weight, head.image.bias)
    plain = head.score(nn.functional.leaky_relu(joint, 0.2)).flatten()
    assert_close(head(features, text).double(), plain, rtol=1e-6, atol=1e-6)


def test_deviation_is_zero_for_equal_images_and_grows_with_their_difference() -> None:
    same = torch.ones(8, 3, 4, 4)
    assert_close(MinibatchDeviation(4)(same)[:, -1], torch.full((8, 4, 4), 1e-4), atol=1e-4, rtol=0)
    different = torch.arange(8.0).view(8, 1, 1, 1).expand(8, 3, 4, 4)
    one, two = (MinibatchDeviation(4)(k * different)[:, -1].mean() for k in (1, 2))
    assert_close(two, 2 * one)


def test_modulation_starts_as_plain_normalisation() -> None:
    norm = ModulatedNorm(4, 3)
    x = draw(5, 4, 2, 2)
    assert_close(norm(x, draw(5, 3)), nn.BatchNorm2d(4)(x))


def test_standardised_embeddings_lie_about_zero_at_one_length() -> None:
    embeddings = 7 + 0.01 * draw(50, 12)
    standard = Standardised(12)
    standard.measure(embeddings)
    made = standard(embeddings)
    assert_close(made.mean(dim=0), torch.zeros(12), atol=1e-3, rtol=0)
    assert_close(made.square().sum(dim=1).mean().sqrt(), torch.tensor(10.0), atol=1e-3, rtol=0)
    assert_close(made[:1] - made[1:2], (embeddings[:1] - embeddings[1:2]) * standard.scale)


def test_one_caption_alone_can_be_standardised() -> None:
    standard = Standardised(4)
    standard.measure(torch.ones(1, 4))
    assert_close(standard(torch.ones(2, 4)), torch.zeros(2, 4))


@pytest.mark.parametrize("stage", [1, 2])
def test_generators_and_discriminators_read_standardised_embeddings(stage: Literal[1, 2]) -> None:
    embeddings = 3 + draw(6, 12)
    standard = Standardised(12)
    standard.measure(embeddings)
    a = SMALL.model_copy(update={"text_input": "standardised"})

    def twice(build: Callable[[Architecture], Any]) -> tuple[Any, Any]:
        network, as_is = build(a), build(SMALL)
        initialise(network, random())
        as_is.load_state_dict(network.state_dict(), strict=False)
        measure_text(network, embeddings)
        return network.eval(), as_is.eval()

    network, as_is = twice(build_stage1 if stage == 1 else build_stage2)
    assert_close(network.conditioning(embeddings), as_is.conditioning(standard(embeddings)))
    network, as_is = twice(lambda a: build_discriminator(a, stage))
    images = draw(6, 3, network.image_px, network.image_px)
    assert_close(network(images, embeddings), as_is(images, standard(embeddings)))


def test_a_discriminator_of_the_generator_s_mean_reads_it_as_it_is() -> None:
    changes = {"text_input": "standardised", "discriminator_text": "mean"}
    network = build_discriminator(SMALL.model_copy(update=changes), 1)
    assert not [module for module in network.modules() if isinstance(module, Standardised)]


def test_kl_of_known_gaussians() -> None:
    zero = torch.zeros(3, 4)
    assert_close(Gaussian(zero, zero).kl_to_standard(), torch.tensor(0.0))
    # N(1, 1): mean^2 / 2 a dimension; N(0, s^2): (s^2 - 1 - log s^2) / 2; summed over C.
    assert_close(Gaussian(zero + 1, zero).kl_to_standard(), torch.tensor(2.0))
    log_var = torch.full((3, 4), 2.0)
    expected = 4 * 0.5 * (log_var.exp()[0, 0] - 1 - 2.0)
    assert_close(Gaussian(zero, log_var).kl_to_standard(), expected)
    uneven = torch.stack([zero[0], zero[0] + 2])  # the batch is averaged
    assert_close(Gaussian(uneven, zero[:2]).kl_to_standard(), torch.tensor(4.0))


def test_a_sample_has_the_deviation_of_half_the_log_variance() -> None:
    gaussian = Gaussian(torch.full((1, 2), 3.0), torch.full((1, 2), 2 * torch.tensor(5.0).log()))
    assert_close(gaussian.sample(torch.tensor([[1.0, -2.0]])), torch.tensor([[8.0, -7.0]]))
    assert_close(gaussian.sample(None), gaussian.mean)


@pytest.mark.parametrize("kind", ["linear", "bounded", "relu", "leaky_relu"])
def test_every_form_of_conditioning_is_a_function_of_its_own(kind: str) -> None:
    layer = ConditioningAugmentation(4, 3, kind)  # type: ignore[arg-type]
    with torch.no_grad():
        layer.layer.weight.copy_(draw(6, 4) * 20)
        layer.layer.bias.zero_()
    x = draw(9, 4, seed=2)
    raw_mean, raw = (x @ layer.layer.weight.T).chunk(2, dim=1)
    mean, log_var = layer(x)
    expected = {
        "linear": (raw_mean, raw),
        "bounded": (raw_mean, 4 * torch.tanh(raw / 4)),
        "relu": (raw_mean.relu(), raw.relu()),
        "leaky_relu": (
            nn.functional.leaky_relu(raw_mean, 0.2),
            2 * nn.functional.leaky_relu(raw, 0.2),
        ),
    }[kind]
    assert_close((mean, log_var), expected)


def effects(network: nn.Module, output: torch.Tensor) -> Iterator[tuple[str, float]]:
    network.zero_grad()
    (output.square().sum() + output.sum()).backward()
    for name, parameter in network.named_parameters():
        yield name, 0.0 if parameter.grad is None else float(parameter.grad.abs().sum())


def test_every_parameter_of_the_generators_has_an_effect(architecture: Architecture) -> None:
    for stage, build in ((1, build_stage1), (2, build_stage2)):
        network = build(architecture)
        initialise(network, random())
        with torch.no_grad():
            for parameter in network.parameters():
                if not parameter.count_nonzero():
                    parameter.add_(0.05)
        first = draw(4, 5) if stage == 1 else draw(4, 3, 64, 64).tanh()
        arguments = (draw(4, 12), first) if stage == 1 else (first, draw(4, 12))
        images = network(*arguments, draw(4, 6, seed=3)).images
        idle = [name for name, effect in effects(network, images) if effect == 0]
        assert not idle


def test_every_parameter_of_the_discriminators_has_an_effect(architecture: Architecture) -> None:
    for stage in (1, 2):
        network = build_discriminator(architecture, stage)  # type: ignore[arg-type]
        side = 64 if stage == 1 else architecture.image_px
        features = network.features(draw(8, 3, side, side))
        logits = network.conditional(features, draw(8, 12))
        alone = network.unconditional(features)
        assert (alone is not None) == architecture.unconditional
        if alone is not None:
            assert alone.shape == ((8 * 32 * 32,) if architecture.patches and stage == 2 else (8,))
        total = logits if alone is None else torch.cat([logits, 2 * alone])
        idle = [name for name, effect in effects(network, total) if effect == 0]
        # Batch normalisation takes a common shift away again.
        assert [name for name in idle if not name.endswith(("norm.bias", ".bias"))] == []


def test_every_input_of_the_generators_has_an_effect(architecture: Architecture) -> None:
    one, two = build_stage1(architecture).eval(), build_stage2(architecture).eval()
    for network in (one, two):
        initialise(network, random())
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=random(9)))
    embedding, noise, eps = draw(2, 12), draw(2, 5), draw(2, 6)
    base = one(embedding, noise, eps).images
    assert base.shape == (2, 3, 64, 64)
    assert not torch.equal(base, one(embedding + 1, noise, eps).images)
    assert not torch.equal(base, one(embedding, noise + 1, eps).images)
    assert not torch.equal(base, one(embedding, noise, eps + 1).images)
    assert not torch.equal(base, one(embedding, noise, None).images)
    base = two(base, embedding, eps).images
    assert base.shape == (2, 3, 128, 128)
    sketches = one(embedding, noise, eps).images
    assert not torch.equal(base, two(sketches * 0.5, embedding, eps).images)
    assert not torch.equal(base, two(sketches, embedding + 1, eps).images)
    assert not torch.equal(base, two(sketches, embedding, eps + 1).images)


def test_pictures_stay_in_range(architecture: Architecture) -> None:
    one, two = build_stage1(architecture), build_stage2(architecture)
    with torch.no_grad():
        for parameter in (*one.parameters(), *two.parameters()):
            parameter.normal_(0, 1, generator=random(4))
    sketches = one(draw(4, 12), draw(4, 5), draw(4, 6)).images
    pictures = two(sketches, draw(4, 12), draw(4, 6)).images
    assert sketches.abs().max() <= 1 and pictures.abs().max() <= 1


def test_a_residual_stage2_begins_as_the_enlarged_sketch() -> None:
    from stackgan.systems.stackgan.modern import enlarge

    network = build_stage2(MODERN)
    initialise(network, random())
    sketches = draw(2, 3, 64, 64).clamp(-1, 1)
    images = network(sketches, draw(2, 12), draw(2, 6)).images
    assert_close(images, enlarge(sketches, 128).clamp(-1, 1))


@pytest.mark.parametrize("size_px", [128, 256])
def test_the_enlarged_sketch_is_the_bicubic_one(size_px: int) -> None:
    from stackgan.systems.stackgan.modern import enlarge

    sketches = draw(2, 3, 64, 64).requires_grad_(True)
    with torch.autocast("cpu", torch.bfloat16):
        large = enlarge(sketches, size_px)
    size = (size_px, size_px)
    expected = F.interpolate(sketches, size, mode="bicubic", align_corners=False)
    assert_close(large, expected, rtol=1e-5, atol=1e-5)
    assert large.is_contiguous(memory_format=torch.channels_last)
    weight = draw(*large.shape)
    slopes = [torch.autograd.grad((x * weight).sum(), sketches) for x in (large, expected)]
    assert_close(*slopes, rtol=1e-4, atol=1e-4)


def count(network: nn.Module) -> float:
    return sum(p.numel() for p in network.parameters()) / 1e6


def test_the_paper_s_networks_have_the_sizes_of_the_authors() -> None:
    with torch.device("meta"):
        a = load_settings(["paper"]).architecture
        one, two = build_stage1(a), build_stage2(a)
        assert count(one) == pytest.approx(10.3, abs=0.15)
        assert count(two) == pytest.approx(26.3, abs=0.15)
        discriminators = build_discriminator(a, 1), build_discriminator(a, 2)
        assert [count(d) for d in discriminators] == pytest.approx([3.3, 68.0], abs=1.0)
        assert two.residual is not None and len(two.residual) == 4
        assert len(build_stage2(a.model_copy(update={"image_px": 128})).residual) == 2


@pytest.mark.parametrize("network", [1, 2, "first critic", "second critic"])
def test_initialising_is_a_function_of_the_seed_alone(
    network: int | str, architecture: Architecture
) -> None:
    def weights(seed: int) -> dict[str, torch.Tensor]:
        built = {
            1: lambda: build_stage1(architecture),
            2: lambda: build_stage2(architecture),
            "first critic": lambda: build_discriminator(architecture, 1),
            "second critic": lambda: build_discriminator(architecture, 2),
        }[network]()
        initialise(built, random(seed))
        return dict(built.state_dict())

    one, again, other = weights(1), weights(1), weights(2)
    assert_close(one, again, rtol=0, atol=0)
    matrices = [name for name in one if one[name].dim() > 1 and one[name].count_nonzero()]
    assert matrices
    assert not [name for name in matrices if torch.equal(one[name], other[name])]


def test_clipping_keeps_the_gradient_of_what_overshoots() -> None:
    from stackgan.systems.stackgan.modern import clip

    images = torch.tensor([[[[-3.0, 0.5, 2.0]]] * 3], requires_grad=True)
    clipped = clip(images)
    assert_close(clipped[0, 0, 0], torch.tensor([-1.0, 0.5, 1.0]))
    clipped.sum().backward()
    assert_close(images.grad, torch.ones_like(images))


def test_4x4_maps_are_halved_to_no_more_than_eight_widths() -> None:
    """With a bound of 384 maps a body of width 16 and six down blocks ends in 96 maps, not 128."""
    body = Body(16, image_px=256, normalisation="none", max_width=384)
    assert body.widths == [3, 16, 32, 64, 128, 256, 384] and body.channels == 96
    judge = Discriminator(5, 4, body, Heads())
    assert judge.features(torch.zeros(2, 3, 256, 256)).whole.shape == (2, 96, 4, 4)
