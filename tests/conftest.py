"""What every test may ask for: a command line run in process, and a tiny real model."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # two test processes on two cores

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
import torch

hypothesis.settings.register_profile("shared_cores", deadline=None, print_blob=True)
hypothesis.settings.load_profile("shared_cores")
torch.set_num_threads(1)

WORDS = "this flower has pink petals and a yellow center red blue white with"
VOCABULARY = WORDS.split()
CAPTIONS = [f"a {a} {b} flower" for a in VOCABULARY[:4] for b in VOCABULARY[4:8]]


@dataclass(frozen=True)
class Finished:
    """One run of the command line."""

    code: int
    out: str
    err: str


@pytest.fixture
def command_line(capsys: pytest.CaptureFixture[str]) -> Callable[..., Finished]:
    """``command_line("generate", "a caption", "-n", 2)`` in process."""
    from stackgan.cli.main import run

    def call(*words: object) -> Finished:
        capsys.readouterr()
        code = run([str(word) for word in words])
        captured = capsys.readouterr()
        return Finished(code, captured.out, captured.err)

    return call


def make_model(folder: Path, *, stage2: bool = True, seed: int = 0, **more: object) -> Path:
    """Save a tiny real model of random weights: width 8, embedding 16, 256x256 pictures."""
    from stackgan.config import Architecture
    from stackgan.hub import save_model
    from stackgan.systems.stackgan.build import build_discriminator, build_stage1, build_stage2
    from stackgan.text import CharCnnRnn
    from stackgan.text.char_cnn_rnn import Sizes

    architecture = Architecture(
        embedding_dim=16,
        condition_dim=8,
        noise_dim=6,
        stage1_generator_width=8,
        stage1_discriminator_width=4,
        stage2_generator_width=8,
        stage2_discriminator_width=2,
        **more,  # type: ignore[arg-type]
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        first, second = build_stage1(architecture), build_stage2(architecture)
        judge = build_discriminator(architecture, 2 if stage2 else 1)
        encoder = CharCnnRnn(
            Sizes(conv1=8, conv2=8, hidden=8, dim=16), name=f"tiny-{seed}", vocabulary=VOCABULARY
        )
        with torch.no_grad():
            for parameter in encoder.parameters():
                parameter.normal_(0, 0.3)
            found = encoder.encode(CAPTIONS)  # of mean 0 and variance 1: every caption its own
            encoder.emb_proj.weight.div_(found.std(dim=0)[:, None])
            encoder.emb_proj.bias.sub_(found.mean(dim=0)).div_(found.std(dim=0))
        settle(first, second, encoder)
    return save_model(
        folder,
        architecture=architecture.model_dump(),
        stage1=first,
        stage2=second if stage2 else None,
        discriminator=judge,
        encoder=encoder,
        training={"data": "none", "steps": 0},
        scores={"kid": 0.5},
        card="# tiny\n",
    )


@torch.no_grad()
def settle(first: torch.nn.Module, second: torch.nn.Module, encoder: torch.nn.Module) -> None:
    """As training would: statistics for BN, zero-started layers moved, pictures of many levels."""
    for network in (first, second):
        for parameter in network.parameters():
            if not parameter.count_nonzero():
                parameter.normal_(0, 0.1)
    embedding = encoder.encode(CAPTIONS)
    painted: list[torch.Tensor] = []
    images = torch.zeros(16, 3, 64, 64)
    for network in (first, second):
        for module in network.train().modules():
            if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                module.momentum = None  # a plain mean over the passes
        network.rgb.register_forward_hook(lambda *seen: painted.append(seen[-1]))
        for _ in range(2):
            if network is first:
                made = first(embedding, torch.randn(16, 6), torch.randn(16, 8)).images
            else:
                made = second(images, embedding, torch.randn(16, 8)).images
        network.rgb._forward_hooks.clear()
        network.rgb.weight.mul_(0.5 / painted[-1].std())
        network.eval()
        images = made


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of both stages; read it, never write into it."""
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny_stage1(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder of Stage-I alone."""
    return make_model(tmp_path_factory.mktemp("models") / "sketcher", stage2=False)


@pytest.fixture(scope="session")
def modern_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with what the modern preset adds: modulation, a residual output, crops."""
    return make_model(
        tmp_path_factory.mktemp("models") / "modern",
        modulated=True,
        output="residual",
        conditioning="bounded",
        normalisation="spectral",
        crop_px=128,
        sketch_strengths=True,
    )


@pytest.fixture(scope="session")
def judged_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with an image side of random weights in its encoder's file."""
    from stackgan.hub import ENCODER, load_model, save_model
    from stackgan.joint import SmallImageNetwork
    from stackgan.text import CharCnnRnn

    loaded = load_model(tiny_model)
    encoder = CharCnnRnn.load(tiny_model / ENCODER)
    random = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = SmallImageNetwork()
    encoder.extra = {
        **{f"image_network.{key}": value for key, value in network.state_dict().items()},
        "image_projection.weight": torch.randn(16, network.features, generator=random),
        "image_projection.bias": torch.zeros(16),
        "joint.mean": torch.zeros(16),
        "joint.scale": torch.ones(1),
    }
    encoder.notes = {"similarity": "cosine", "image_px": "64", "image_network": "small"}
    return save_model(
        tmp_path_factory.mktemp("models") / "judged",
        architecture=loaded.architecture.model_dump(),
        stage1=loaded.stage1,
        stage2=loaded.stage2,
        discriminator=loaded.discriminator(),
        encoder=encoder,
        training={"data": "none", "steps": 0},
        scores={"kid": 0.5},
        card="# judged\n",
    )


@pytest.fixture
def new_model() -> Callable[..., Path]:
    """``new_model(folder, seed=1, ...)`` saves another tiny model that a test may spoil."""
    return make_model
