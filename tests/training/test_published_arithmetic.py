"""`arithmetic=literal` against the published networks, written plainly, at other widths."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from stackgan.config import Architecture, Settings, load_settings
from stackgan.systems.stackgan.build import build_discriminator, build_stage1, build_stage2
from stackgan.tensors import to_images
from stackgan.training.steps import StepBatch, make_stage, train_step

BATCH = 4


def conv(i: int, o: int, k: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(i, o, k, stride, 1, bias=False)


def up(i: int, o: int) -> list[nn.Module]:
    return [nn.Upsample(scale_factor=2), conv(i, o), nn.BatchNorm2d(o), nn.ReLU()]


def down(i: int, o: int) -> list[nn.Module]:
    return [conv(i, o, 4, 2), nn.BatchNorm2d(o), nn.LeakyReLU(0.2)]


class Conditioned(nn.Module):
    """Embedding and eps to condition, mean and log-variance, ReLU on both."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.fc = nn.Linear(a.embedding_dim, 2 * a.condition_dim)

    def condition(self, embedding: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_var = torch.relu(self.fc(embedding)).chunk(2, dim=1)
        return eps * (0.5 * log_var).exp() + mean, mean, log_var


class PlainStage1(Conditioned):
    def __init__(self, a: Architecture) -> None:
        super().__init__(a)
        w = self.width = 8 * a.stage1_generator_width
        latent = a.condition_dim + a.noise_dim
        self.project = nn.Sequential(
            nn.Linear(latent, 16 * w, bias=False), nn.BatchNorm1d(16 * w), nn.ReLU()
        )
        ups = [layer for k in range(4) for layer in up(w >> k, w >> (k + 1))]
        self.paint = nn.Sequential(*ups, conv(w >> 4, 3), nn.Tanh())

    def forward(self, embedding: Tensor, noise: Tensor, eps: Tensor) -> tuple[Tensor, ...]:
        c, mean, log_var = self.condition(embedding, eps)
        x = self.project(torch.cat([noise, c], dim=1)).view(-1, self.width, 4, 4)
        return self.paint(x), mean, log_var


class Residual(nn.Module):
    def __init__(self, w: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            conv(w, w), nn.BatchNorm2d(w), nn.ReLU(), conv(w, w), nn.BatchNorm2d(w)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.block(x) + x)


class PlainStage2(Conditioned):
    def __init__(self, a: Architecture) -> None:
        super().__init__(a)
        w = a.stage2_generator_width
        self.encode = nn.Sequential(
            conv(3, w), nn.ReLU(),
            conv(w, 2 * w, 4, 2), nn.BatchNorm2d(2 * w), nn.ReLU(),
            conv(2 * w, 4 * w, 4, 2), nn.BatchNorm2d(4 * w), nn.ReLU(),
        )  # fmt: skip
        ups = [layer for k in range(4) for layer in up(4 * w >> k, 4 * w >> (k + 1))]
        self.paint = nn.Sequential(
            conv(4 * w + a.condition_dim, 4 * w), nn.BatchNorm2d(4 * w), nn.ReLU(),
            *(Residual(4 * w) for _ in range(a.residual_blocks or 0)),
            *ups, conv(4 * w >> 4, 3), nn.Tanh(),
        )  # fmt: skip

    def forward(self, sketch: Tensor, embedding: Tensor, eps: Tensor) -> tuple[Tensor, ...]:
        x = self.encode(sketch)
        c, mean, log_var = self.condition(embedding, eps)
        spread = c[:, :, None, None].repeat(1, 1, 16, 16)
        return self.paint(torch.cat([x, spread], dim=1)), mean, log_var


class PlainCritic(nn.Module):
    def __init__(self, a: Architecture, number: int) -> None:
        super().__init__()
        w = a.stage1_discriminator_width if number == 1 else a.stage2_discriminator_width
        layers: list[nn.Module] = [conv(3, w, 4, 2), nn.LeakyReLU(0.2)]
        for k in range(3 if number == 1 else 5):
            layers += down(w << k, w << (k + 1))
        if number == 2:
            for k in (32, 16):
                layers += [conv(k * w, k * w // 2), nn.BatchNorm2d(k * w // 2), nn.LeakyReLU(0.2)]
        self.features = nn.Sequential(*layers)
        self.joint = nn.Sequential(
            conv(8 * w + a.condition_dim, 8 * w), nn.BatchNorm2d(8 * w), nn.LeakyReLU(0.2),
            nn.Conv2d(8 * w, 1, 4, 4), nn.Sigmoid(),
        )  # fmt: skip
        self.alone = nn.Sequential(nn.Conv2d(8 * w, 1, 4, 4), nn.Sigmoid()) if number == 2 else None

    def answer(self, features: Tensor, text: Tensor) -> Tensor:
        spread = text[:, :, None, None].repeat(1, 1, 4, 4)
        return self.joint(torch.cat([features, spread], dim=1)).view(-1)


def settings_of(seed: int) -> Settings:
    """The preset at widths of its own for each seed."""
    changes = [
        f"architecture.{name}={value + seed % 2 * more}"
        for name, value, more in (
            ("embedding_dim", 10, 3),
            ("condition_dim", 6, 5),
            ("noise_dim", 5, 2),
            ("stage1_generator_width", 4, 2),
            ("stage1_discriminator_width", 3, 2),
            ("stage2_generator_width", 4, 4),
            ("stage2_discriminator_width", 2, 1),
            ("residual_blocks", 1, 1),
        )
    ]
    return load_settings(["authors-pt"], None, changes)


def same_weights(plain: nn.Module, ours: nn.Module, seed: int) -> None:
    """Draw weights for ``plain`` and give them to ``ours``; both list their layers in one order."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in plain.parameters():
            size = 0.1 if parameter.dim() == 1 else parameter[0].numel() ** -0.5
            parameter.copy_(size * torch.randn(parameter.shape, generator=random))
        for module in plain.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.weight.add_(1.0)
        theirs = list(as_ours(plain, ours))
        for (name, mine), value in zip(ours.named_parameters(), theirs, strict=True):
            assert mine.shape == value.shape, name
            mine.copy_(value)


def as_ours(plain: nn.Module, ours: nn.Module) -> Iterator[Tensor]:
    """The plain network's parameters as ours divides and orders them."""
    split = getattr(ours, "noise_dim", 0)
    for name, parameter in plain.named_parameters():
        if name == "project.0.weight":  # theirs reads [noise, condition], ours [condition, noise]
            yield parameter.roll(-split, 1)
        elif name == "joint.0.weight":
            image = parameter.shape[0]
            yield parameter[:, :image]
            yield parameter[:, image:]
        else:
            yield parameter


def kl(mean: Tensor, log_var: Tensor) -> Tensor:
    return -0.5 * torch.mean(1 + log_var - (mean.pow(2) + log_var.exp()))


def plain_step(
    generator: nn.Module,
    critic: PlainCritic,
    optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer],
    real: Tensor,
    inputs: tuple[Tensor, ...],
) -> list[Tensor]:
    """One step as published; D total, real, wrong and fake, G adversarial, KL."""
    entropy = nn.BCELoss()
    ones, zeros = torch.ones(BATCH), torch.zeros(BATCH)
    fake, mean, log_var = generator(*inputs)
    text = mean.detach()
    of_real, of_fake = critic.features(real), critic.features(fake.detach())
    right = entropy(critic.answer(of_real, text), ones)
    wrong = entropy(critic.answer(of_real[:-1], text[1:]), zeros[1:])
    false = entropy(critic.answer(of_fake, text), zeros)
    if critic.alone is None:
        total = right + (false + wrong) * 0.5
    else:
        alone = entropy(critic.alone(of_real).view(-1), ones)
        false_alone = entropy(critic.alone(of_fake).view(-1), zeros)
        total = (right + alone) / 2 + (false + wrong + false_alone) / 3
        right, false = (right + alone) / 2, (false + false_alone) / 2
    critic.zero_grad()
    total.backward()
    optimizers[1].step()
    generator.zero_grad()
    of_fake = critic.features(fake)
    paid = entropy(critic.answer(of_fake, text), ones)
    if critic.alone is not None:
        paid = paid + entropy(critic.alone(of_fake).view(-1), ones)
    divergence = kl(mean, log_var)
    (paid + 2 * divergence).backward()
    optimizers[0].step()
    return [part.detach() for part in (total, right, wrong, false, paid, divergence)]


def adam(network: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(network.parameters(), 2e-4, betas=(0.5, 0.999))


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("seed", [0, 1])
def test_two_steps_are_the_published_ones(number: int, seed: int) -> None:
    settings = settings_of(seed)
    a = settings.architecture
    plain_one, one = PlainStage1(a), build_stage1(a)
    same_weights(plain_one, one, seed)
    plain: nn.Module = plain_one if number == 1 else PlainStage2(a)
    ours = one if number == 1 else build_stage2(a)
    if number == 2:
        same_weights(plain, ours, seed + 10)
    plain_critic, critic = PlainCritic(a, number), build_discriminator(a, 1 if number == 1 else 2)
    same_weights(plain_critic, critic, seed + 20)
    stage = make_stage(
        ours, critic, settings.stage1 if number == 1 else settings.stage2,
        sketcher=None if number == 1 else one,
    )  # fmt: skip
    optimizers = adam(plain), adam(plain_critic)
    side = 64 if number == 1 else 256
    random = torch.Generator().manual_seed(seed + 30)
    for _ in range(2):
        pixels = torch.randint(0, 256, (BATCH, 3, side, side), dtype=torch.uint8, generator=random)
        embedding = torch.randn(BATCH, a.embedding_dim, generator=random)
        dims = [a.noise_dim, a.condition_dim, a.condition_dim][: number + 1]
        draws = [torch.randn(BATCH, dim, generator=random) for dim in dims]
        inputs: tuple[Tensor, ...] = (embedding, *draws)
        if number == 2:
            with torch.no_grad():  # in training mode: its statistics drift
                sketch = plain_one.train()(embedding, *draws[:2])[0]
            inputs = (sketch, embedding, draws[2])
        expected = plain_step(plain, plain_critic, optimizers, to_images(pixels), inputs)
        left = iter(draws)
        report = train_step(
            stage, StepBatch(pixels, embedding, embedding), random, lambda *_, left=left: next(left)
        )
        names = ("d_loss", "d_real_loss", "d_wrong_loss", "d_fake_loss", "g_loss", "kl")
        assert_close([report[name] for name in names], expected, rtol=1e-6, atol=0)
    for network, reference in ((ours, plain), (critic, plain_critic)):
        found = torch.cat([p.detach().flatten() for p in network.parameters()])
        wanted = torch.cat([p.detach().flatten() for p in as_ours(reference, network)])
        assert ((found - wanted).abs() > 1e-6).float().mean() < 1e-4
    if number == 2:  # and so do ours
        mine = [b for n, b in one.named_buffers() if n.endswith("running_mean")]
        theirs = [b for n, b in plain_one.named_buffers() if n.endswith("running_mean")]
        assert_close(mine, theirs, rtol=1e-5, atol=1e-6)
