"""The authors' networks as settings: sizes as published, and every value a function of its own."""

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.testing import assert_close

from stackgan.config import Architecture, load_settings
from stackgan.errors import InputError
from stackgan.inference.fold import fold_batchnorm
from stackgan.networks.conditioning import ConditioningAugmentation, Gaussian, truncated
from stackgan.networks.heads import JointLogits
from stackgan.networks.initialise import initialise
from stackgan.networks.layers import UpConv
from stackgan.systems.stackgan.authors import BottleneckBlock
from stackgan.systems.stackgan.build import build_discriminator, build_stage1, build_stage2

TINY = {
    "embedding_dim": 12,
    "condition_dim": 6,
    "noise_dim": 5,
    "text_dim": 7,
    "stage1_generator_width": 8,
    "stage1_discriminator_width": 4,
    "stage2_generator_width": 8,
    "stage2_discriminator_width": 4,
    "image_px": 128,
}


def tiny(*presets: str, **more: object) -> Architecture:
    settings = load_settings(list(presets)).architecture.model_dump()
    return Architecture.model_validate(settings | TINY | more)


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=random(seed))


def networks(a: Architecture) -> list[nn.Module]:
    return [
        build_stage1(a),
        build_discriminator(a, 1),
        build_stage2(a),
        build_discriminator(a, 2),
    ]


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


# Millions of weights of G1, D1, G2, D2, counted from the published sources; then our own counts.
COUNTS = {
    "authors-pt": ([10.3, 5.7, 26.3, 71.3], [10_301_248, 5_715_713, 26_290_080, 71_269_122]),
    "authors-pt-coco": (
        [20.0, 12.4, 37.1, 159.9],
        [20_020_832, 12_407_425, 37_130_480, 159_889_538],
    ),
    "authors-tf": ([14.26, 4.03, 26.29, 48.60], [14_264_192, 4_029_824, 26_290_080, 48_603_520]),
}  # fmt: skip


@pytest.mark.parametrize("preset", COUNTS)
def test_the_presets_have_as_many_weights_as_published(preset: str) -> None:
    rounded, exact = COUNTS[preset]
    with torch.device("meta"):
        found = [count(network) for network in networks(load_settings([preset]).architecture)]
    assert found == exact
    digits = 2 if preset == "authors-tf" else 1
    assert [round(number / 1e6, digits) for number in found] == rounded


class MultiplyAdds(TorchFunctionMode):
    """Counts those of every convolution and linear layer, as the layers are worded."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        output = func(*args, **(kwargs or {}))
        if func in (F.conv2d, F.linear):
            self.total += output.numel() * args[1][0].numel()
        return output


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("authors-pt", [1.22, 0.15, 11.56, 3.16]),
        ("authors-pt-coco", [2.73, 0.33, 20.4, 7.06]),
        ("authors-tf", [1.03, 0.12, 11.56, 2.79]),
    ],
)
def test_the_presets_have_as_many_multiply_adds_as_published(
    preset: str, expected: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # meta has none
    a = load_settings([preset], None, ["architecture.arithmetic=literal"]).architecture
    found = []
    with torch.device("meta"):
        one, d1, two, d2 = (network.eval() for network in networks(a))
        text = torch.empty(1, a.condition_dim if a.discriminator_text == "mean" else 1024)
        inputs = (
            (one, (torch.empty(1, 1024), torch.empty(1, 100), torch.empty(1, 128))),
            (d1, (torch.empty(1, 3, 64, 64), text)),
            (two, (torch.empty(1, 3, 64, 64), torch.empty(1, 1024), torch.empty(1, 128))),
            (d2, (torch.empty(1, 3, 256, 256), text)),
        )
        for network, arguments in inputs:
            with MultiplyAdds() as counted:
                network(*arguments)
            found.append(counted.total / 1e9)
    assert found == pytest.approx(expected, rel=0.005, abs=0.006)


@pytest.mark.parametrize("preset", ["paper", "authors-tf", "authors-pt"])
def test_every_parameter_has_an_effect(preset: str) -> None:
    a = tiny(preset)
    text = draw(4, 6 if a.discriminator_text == "mean" else 12, seed=3)
    one, d1, two, d2 = networks(a)
    for network in (one, d1, two, d2):
        initialise(network, random(1))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=random(2)))
    images = one(draw(4, 12), draw(4, 5), draw(4, 6)).images
    answers = [images, d1(draw(4, 3, 64, 64), text)]
    answers.append(two(draw(4, 3, 64, 64), draw(4, 12), draw(4, 6)).images)
    features = d2.features(draw(4, 3, 128, 128))
    alone = d2.unconditional(features)
    both = d2.conditional(features, text)
    answers.append(both if alone is None else torch.cat([both, 2 * alone]))
    for network, output in zip((one, d1, two, d2), answers, strict=True):
        (output.square().sum() + output.sum()).backward()
        idle = [
            name
            for name, parameter in network.named_parameters()
            if parameter.grad is None or not parameter.grad.abs().sum()
        ]
        # Batch normalisation takes a common shift away again.
        assert not [name for name in idle if not name.endswith(".bias")]


CHANGES = {
    "conditioning": ["linear", "bounded", "relu", "leaky_relu"],
    "conditioning_augmentation": [True, False],
    "eps": ["normal", "truncated"],
    "stage2_text": [True, False],
    "stage1_generator": ["plain", "bottleneck"],
    "stage1_discriminator": ["plain", "bottleneck"],
    "stage2_discriminator": ["plain", "bottleneck"],
    "discriminator_text": ["linear", "leaky_relu", "mean"],
    "joint_kernel": [1, 3],
    "residual_blocks": [2, 4],
    "biases": ["none", "score", "first"],
    "stage1_unconditional": [None, True],
    "unconditional": [False, True],
}


def outputs(a: Architecture) -> list[Tensor]:
    """What the four networks make of the same inputs, and their sizes."""
    found = []
    text = draw(4, 6 if a.discriminator_text == "mean" else 12, seed=3)
    for number, network in enumerate(networks(a)):
        initialise(network, random(1))
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=random(2)))
        if number % 2:
            side = 64 if number == 1 else 128
            features = network.features(draw(4, 3, side, side))
            answers = [network.conditional(features, text), network.unconditional(features)]
            output = torch.cat([x.detach() for x in answers if x is not None])
        else:
            first = (draw(4, 12), draw(4, 5)) if number == 0 else (draw(4, 3, 64, 64), draw(4, 12))
            output = network(*first, 3 * draw(4, 6, seed=4)).images.detach()
        found += [torch.tensor(count(network)), output]
    return found


@pytest.mark.parametrize("name", CHANGES)
def test_every_value_of_a_setting_computes_something_else(name: str) -> None:
    made = [outputs(tiny(**{name: value})) for value in CHANGES[name]]
    for place, one in enumerate(made):
        for other in made[:place]:
            pairs = zip(one, other, strict=True)
            assert not all(a.shape == b.shape and torch.equal(a, b) for a, b in pairs)


def test_the_head_that_reads_no_text_has_two_forms() -> None:
    joint = build_discriminator(tiny(unconditional=True), 2).alone
    score = build_discriminator(tiny(unconditional=True, unconditional_head="score"), 2).alone
    assert joint is not None and score is not None
    assert [name for name, _ in score.named_parameters()] == ["score.weight", "score.bias"]
    assert count(joint) > count(score)
    features = draw(3, 32, 4, 4)
    plain = F.conv2d(features, score.score.weight, score.score.bias).flatten()
    assert_close(score(features, None), plain)


@pytest.mark.parametrize(
    ("biases", "expected"),
    [("none", set()), ("score", {"score"}), ("first", {"score", "encode.0.0"})],
)
def test_convolutions_have_the_biases_that_are_asked_for(biases: str, expected: set[str]) -> None:
    a = tiny(biases=biases, unconditional=True)
    found = {
        name
        for network in networks(a)
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d) and module.bias is not None
    }
    assert {name.removeprefix("joint.").removeprefix("alone.") for name in found} == expected


def test_a_bottleneck_is_what_tensorflow_computes() -> None:
    block = BottleneckBlock(8, 2, 0.2).eval()
    x = draw(2, 8, 5, 5)
    with torch.no_grad():
        for parameter in block.parameters():
            parameter.normal_(generator=random(1))
        y = F.leaky_relu(block.norm1(F.conv2d(x, block.conv1.weight)), 0.2)
        y = F.leaky_relu(block.norm2(F.conv2d(y, block.conv2.weight, padding=1)), 0.2)
        y = block.norm3(F.conv2d(y, block.conv3.weight, padding=1))
        assert_close(block(x), F.leaky_relu(x + y, 0.2))


@torch.no_grad()
def test_tensorflows_stage1_has_no_relu_before_its_blocks_and_none_after_them() -> None:
    network = build_stage1(tiny("authors-tf")).eval()
    seen: dict[str, Tensor] = {}
    for name, module in network.named_modules():
        module.register_forward_hook(
            lambda _, inputs, __, name=name: seen.update({name: inputs[0]})
        )
    network(draw(4, 12), draw(4, 5), draw(4, 6))
    assert seen["first"].min() < 0 and seen["blocks.0.bottleneck"].min() < 0
    assert seen["blocks.0"].min() >= 0 and seen["blocks.1"].min() >= 0
    assert seen["first"].shape[1:] == (64, 4, 4) and seen["blocks.0.bottleneck"].shape[2] == 8
    assert isinstance(network.rgb, UpConv) and seen["rgb"].shape[2] == 32
    assert network.project.bias is not None


@torch.no_grad()
@pytest.mark.parametrize("stage", [1, 2])
def test_tensorflows_discriminators_leave_out_the_activations_before_the_skip(stage: int) -> None:
    network = build_discriminator(tiny("authors-tf"), stage).eval()  # type: ignore[arg-type]
    assert [block.slope for block in network.down] == (
        [0.2, 0.2, 1.0, 1.0] if stage == 1 else [0.2] * 5
    )
    kinds = [type(module).__name__ for module in network.compress]
    block = ["Conv2d", "BatchNorm2d"] if stage == 2 else []
    assert kinds == [*block, "BottleneckBlock"]
    assert all(m.kernel_size == (1, 1) for m in network.compress if isinstance(m, nn.Conv2d))


@torch.no_grad()
def test_a_joint_convolution_of_3x3_is_one_over_the_repeated_text() -> None:
    head = JointLogits(6, 3, "batch", kernel=3).double().eval()
    features, text = draw(2, 6, 4, 4).double(), draw(2, 3, seed=1).double()
    weight = torch.cat([head.image.weight, head.text.weight], dim=1)
    joined = torch.cat([features, text[:, :, None, None].expand(-1, -1, 4, 4)], dim=1)
    joint = F.leaky_relu(head.norm(F.conv2d(joined, weight, padding=1)), 0.2)
    plain = head.score(joint).flatten().float()
    assert_close(head(features, text), plain)
    head.literal = True
    assert_close(head(features, text), plain)


@torch.no_grad()
@pytest.mark.parametrize("preset", ["authors-pt", "authors-tf", "paper"])
def test_literal_arithmetic_is_the_same_function(preset: str) -> None:
    made = [networks(tiny(preset, arithmetic=kind)) for kind in ("fast", "literal")]
    text = draw(3, 6 if preset == "authors-pt" else 12, seed=3)
    inputs = [
        (draw(3, 12), draw(3, 5), draw(3, 6)),
        (draw(3, 3, 64, 64), text),
        (draw(3, 3, 64, 64), draw(3, 12), draw(3, 6)),
        (draw(3, 3, 128, 128), text),
    ]
    for fast, literal, arguments in zip(*made, inputs, strict=True):
        initialise(fast, random(1))
        literal.load_state_dict(fast.state_dict())
        one, other = fast.eval()(*arguments), literal.eval()(*arguments)
        assert_close(one, other, rtol=1e-4, atol=1e-5)
    layouts = [
        network.layout
        for kind in ("fast", "literal")
        for network in networks(tiny(preset, arithmetic=kind))
    ]
    assert layouts == [torch.channels_last] * 4 + [torch.contiguous_format] * 4


def test_a_discriminator_that_reads_the_mean_has_no_layer_for_text() -> None:
    network = build_discriminator(tiny(discriminator_text="mean"), 2)
    assert network.text is None and not [n for n in network.state_dict() if n.startswith("text")]
    assert network(draw(2, 3, 128, 128), draw(2, 6)).shape == (2,)


@torch.no_grad()
def test_the_text_s_layer_is_linear_in_the_paper_and_leaky_in_the_authors_code() -> None:
    made = {kind: build_discriminator(tiny(discriminator_text=kind), 1).eval()
            for kind in ("linear", "leaky_relu")}  # fmt: skip
    made["leaky_relu"].load_state_dict(made["linear"].state_dict())
    images, text = draw(2, 3, 64, 64), draw(2, 12)
    for kind, network in made.items():
        code = network.text(text)
        code = F.leaky_relu(code, 0.2) if kind == "leaky_relu" else code
        features = network.features(images)
        assert_close(network.conditional(features, text), network.joint(features.whole, code))
    assert not torch.equal(made["linear"](images, text), made["leaky_relu"](images, text))


def test_truncated_numbers_are_those_of_a_normal_within_two_deviations() -> None:
    eps = draw(200_000)
    within = truncated(eps)
    assert within.abs().max() <= 2
    assert_close(within, -truncated(-eps), rtol=0, atol=1e-6)
    assert truncated(torch.zeros(1)) == 0 and truncated(torch.tensor([9.0])) == 2.0
    order = eps.argsort()
    assert (within[order].diff() >= 0).all()
    # A standard normal cut off at +-2 has this deviation, and these quartiles.
    assert within.std().item() == pytest.approx(0.8796, abs=0.005)
    assert (within < -0.6745 * 0.93).float().mean().item() == pytest.approx(0.25, abs=0.02)


def test_conditioning_noise_is_normal_truncated_or_none() -> None:
    eps = 2 * draw(3, 4)
    made = {kind: ConditioningAugmentation(5, 4, "linear", kind).chance(eps)
            for kind in ("normal", "truncated", "none")}  # fmt: skip
    assert torch.equal(made["normal"], eps)
    assert torch.equal(made["truncated"], truncated(eps))
    assert made["none"] is None
    assert ConditioningAugmentation(5, 4, "linear", "truncated").chance(None) is None


@torch.no_grad()
@pytest.mark.parametrize("preset", ["paper", "authors-tf", "authors-pt"])
def test_without_conditioning_augmentation_eps_does_nothing(preset: str) -> None:
    a = tiny(preset, conditioning_augmentation=False)
    one, two = build_stage1(a).eval(), build_stage2(a).eval()
    for network in (one, two):
        first = (draw(2, 12), draw(2, 5)) if network is one else (draw(2, 3, 64, 64), draw(2, 12))
        drawn = [network(*first, eps).images for eps in (draw(2, 6), draw(2, 6, seed=9), None)]
        assert torch.equal(drawn[0], drawn[1]) and torch.equal(drawn[0], drawn[2])


@torch.no_grad()
def test_a_stage2_without_text_reads_none() -> None:
    network = build_stage2(tiny(stage2_text=False)).eval()
    sketches = draw(2, 3, 64, 64)
    one = network(sketches, draw(2, 12), draw(2, 6))
    other = network(sketches, draw(2, 12, seed=5), None)
    assert torch.equal(one.images, other.images) and one.gaussian is None
    assert not [name for name in network.state_dict() if name.startswith("conditioning")]
    assert network.join.in_channels == 32


@pytest.mark.parametrize("width", [128, 8])
def test_a_one_stage_model_has_six_up_blocks_of_no_fewer_than_16_maps(width: int) -> None:
    a = Architecture(stages=1, stage1_px=256, stage1_generator_width=width)
    with torch.device("meta"):
        network = build_stage1(a)
        judge, second = build_discriminator(a, 1), build_discriminator(Architecture(), 2)
    widths = [block.conv.out_channels for block in network.blocks]
    assert widths == ([512, 256, 128, 64, 32, 16] if width == 128 else [32, 16, 16, 16, 16, 16])
    assert network.rgb.in_channels == 16
    assert [p.shape for p in judge.parameters()] == [p.shape for p in second.parameters()]
    with pytest.raises(InputError, match="has one stage"):
        build_stage2(a)


@torch.no_grad()
def test_a_one_stage_model_paints_256() -> None:
    a = tiny(stages=1, stage1_px=256)
    images = build_stage1(a)(draw(2, 12), draw(2, 5), draw(2, 6)).images
    assert images.shape == (2, 3, 256, 256)
    assert build_discriminator(a, 1)(images, draw(2, 12)).shape == (2,)


def test_first_weights_may_be_truncated_in_convolutions_alone() -> None:
    a = tiny("authors-tf")
    for network in networks(a):
        initialise(network, random(1), "truncated")
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                assert module.weight.abs().max() <= 0.04
    one = build_stage1(a)
    initialise(one, random(1), "truncated")
    assert one.project.weight.abs().max() > 0.04
    again = build_stage1(a)
    initialise(again, random(1))
    assert again.first.conv2.weight.abs().max() > 0.04  # type: ignore[union-attr]


def test_the_mean_kl_is_the_sum_over_the_dimensions() -> None:
    gaussian = Gaussian(draw(5, 128), draw(5, 128, seed=1))
    assert_close(128 * gaussian.mean_kl_to_standard(), gaussian.kl_to_standard())


@torch.no_grad()
@pytest.mark.parametrize("preset", ["authors-tf", "authors-pt", "ablation-stackgan-128-text-once"])
def test_folding_keeps_the_authors_networks(preset: str) -> None:
    a = tiny(preset)
    for network in (build_stage1(a), build_stage2(a)):
        initialise(network, random(1))
        first = (
            (draw(8, 12), draw(8, 5))
            if hasattr(network, "noise_dim")
            else (draw(8, 3, 64, 64), draw(8, 12))
        )
        network.train()(*first, draw(8, 6))  # statistics of its own
        plain = network.eval()(*first, draw(8, 6)).images
        assert_close(fold_batchnorm(network)(*first, draw(8, 6)).images, plain, rtol=0, atol=1e-5)
