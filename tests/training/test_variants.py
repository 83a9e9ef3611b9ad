"""What the authors' steps do otherwise: each setting computes what it says, and something else."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.testing import assert_close

from stackgan.config import Architecture, StageSettings, load_settings
from stackgan.networks.conditioning import Gaussian
from stackgan.networks.initialise import initialise
from stackgan.systems.losses import (
    DiscriminatorLoss,
    called_fake,
    called_real,
    generator_loss,
    heads_together,
)
from stackgan.systems.stackgan.build import build_discriminator, build_stage1, build_stage2
from stackgan.systems.stackgan.variants import batch_statistics, kl_of, text_of, weigh, wrong_answer
from stackgan.tensors import to_images
from stackgan.training.checkpoint import read_checkpoint, restore, save_checkpoint
from stackgan.training.prepare import in_steps
from stackgan.training.schedule import set_learning_rate
from stackgan.training.steps import Stage, StepBatch, make_stage, train_step

SIZES = {
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
PLAIN = StageSettings(steps=10, batch_size=4, loss="logistic")


def tiny(*presets: str, **more: object) -> Architecture:
    settings = load_settings(list(presets)).architecture.model_dump()
    return Architecture.model_validate(settings | SIZES | more)


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stage_of(number: int, settings: StageSettings = PLAIN, a: Architecture | None = None) -> Stage:
    a = a or tiny(unconditional=True)
    generator = build_stage1(a) if number == 1 else build_stage2(a)
    discriminator = build_discriminator(a, number)  # type: ignore[arg-type]
    sketcher = build_stage1(a) if number == 2 else None
    for network in (generator, discriminator, sketcher):
        if network is not None:
            initialise(network, random(1))
    return make_stage(generator, discriminator, settings, sketcher)


def batch(number: int, seed: int = 3) -> StepBatch:
    px = 64 if number == 1 else 128
    pixels, other = torch.randint(
        0, 256, (2, 4, 3, px, px), dtype=torch.uint8, generator=random(seed)
    )
    embedding, wrong = torch.randn(2, 4, 12, generator=random(seed + 1))
    return StepBatch(pixels, embedding, wrong, other)


def state(network: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def changed(**change: object) -> StageSettings:
    return PLAIN.model_copy(update=change)


@pytest.mark.parametrize(
    ("number", "change"),
    [
        (1, {"loss": "minimax"}),
        (1, {"wrong_pair": "image"}),
        (1, {"wrong_pair": "shifted"}),
        (1, {"fakes": "redrawn"}),
        (1, {"kl_reduction": "mean"}),
        (1, {"kl_weight": 2.0}),
        (1, {"heads": "together"}),
        (1, {"generator_lr": 1e-3}),
        (1, {"betas": (0.0, 0.9)}),
        (2, {"frozen_statistics": "batch"}),
        (2, {"finetune_stage1": 0.1}),
    ],
)
def test_every_setting_of_a_step_computes_something_else(
    number: int, change: dict[str, object]
) -> None:
    plain, other = stage_of(number), stage_of(number, changed(**change))
    for stage in (plain, other):
        for _ in range(2):
            train_step(stage, batch(number), random(stage.step))
    assert not torch.equal(plain.generator.rgb.weight, other.generator.rgb.weight)


def test_the_loss_of_probabilities_is_the_logistic_one_until_the_sigmoid_saturates() -> None:
    logits = torch.tensor([-3.0, 0.5, 2.0])
    for called in (called_real, called_fake):
        assert_close(called(logits, "sigmoid"), called(logits, "logistic"))
    assert_close(called_real(torch.tensor([2.0]), "sigmoid"), torch.tensor(0.12692801))
    far = torch.tensor([40.0], requires_grad=True)
    assert called_fake(far, "sigmoid") == 100.0  # log(1 - 1), held at -100
    assert called_fake(far, "logistic") == 40.0
    (gradient,) = torch.autograd.grad(called_fake(far, "sigmoid"), far)
    assert gradient == 0.0
    assert_close(generator_loss(logits, "sigmoid"), called_real(logits, "logistic"))


def test_both_heads_together_are_halves_of_the_real_and_thirds_of_the_fake() -> None:
    graded = DiscriminatorLoss(*(torch.tensor(value) for value in (1.0, 2.0, 4.0)))
    found = heads_together(graded, torch.tensor(3.0), torch.tensor(9.0))
    assert_close(found, torch.tensor((1 + 3) / 2 + (2 + 4 + 9) / 3))
    alone, fake_alone = torch.tensor([0.3, -1.0]), torch.tensor([2.0, 0.1])
    real, fake = called_real(alone, "logistic"), called_fake(fake_alone, "logistic")
    loss, report = weigh(graded, alone, fake_alone, changed(heads="together"))
    assert_close(loss, heads_together(graded, real, fake))
    parts = [report[f"d_{name}_loss"] for name in ("real", "wrong", "fake")]
    assert_close(parts, [(1 + real) / 2, torch.tensor(2.0), (4 + fake) / 2])
    loss, _ = weigh(graded, alone, fake_alone, changed(heads="apart"))
    assert_close(loss, graded.total() + real + fake)
    loss, report = weigh(graded, None, None, changed(heads="together", conditional_weight=0.5))
    assert_close(loss, 0.5 * (1 + (2 + 4) / 2) * torch.ones(()))
    assert_close(report["d_fake_loss"], torch.tensor(4.0))


@torch.no_grad()
def test_a_wrong_pair_is_a_wrong_caption_a_wrong_image_or_the_next_caption() -> None:
    critic = build_discriminator(tiny("authors-pt"), 1).eval()
    real, other = torch.randn(2, 3, 3, 64, 64, generator=random(0))
    text, wrong_text = torch.randn(2, 3, 6, generator=random(1))
    features = critic.features(real)
    answers = {
        kind: wrong_answer(critic, kind, features, text, wrong_text, other)
        for kind in ("caption", "image", "shifted")
    }
    assert_close(answers["caption"], critic(real, wrong_text))
    assert_close(answers["image"], critic(other, text))
    assert_close(answers["shifted"], critic(real[:2], text[1:]))
    with pytest.raises(ValueError, match="wrong_pixels"):
        wrong_answer(critic, "image", features, text, wrong_text, None)


def test_a_discriminator_reads_the_embedding_or_the_mean_without_its_gradient() -> None:
    embedding = torch.randn(3, 12)
    gaussian = Gaussian(torch.randn(3, 6, requires_grad=True), torch.zeros(3, 6))
    own = build_discriminator(tiny(), 1)
    theirs = build_discriminator(tiny("authors-pt"), 1)
    assert text_of(own, embedding, gaussian) is embedding
    found = text_of(theirs, embedding, gaussian)
    assert torch.equal(found, gaussian.mean) and not found.requires_grad


def test_wrong_captions_are_read_as_means_where_the_mean_is_read() -> None:
    stage = stage_of(1, a=tiny("authors-pt"))
    assert stage.settings.wrong_pair == "caption"
    shown: list[Tensor] = []
    stage.discriminator.joint.register_forward_pre_hook(lambda _, x: shown.append(x[1].clone()))
    conditioning = stage.generator.conditioning
    assert conditioning is not None
    drawn = batch(1)
    with torch.no_grad():
        expected = [conditioning(x).mean for x in (drawn.embedding, drawn.wrong_embedding)]
    train_step(stage, drawn, random(0))
    assert_close(shown[0], expected[0])
    assert_close(shown[1], expected[1])
    assert_close(shown[2], expected[0])


def images_of_g(stage: Stage) -> list[Tensor]:
    made: list[Tensor] = []
    stage.generator.register_forward_hook(lambda _, __, out: made.append(out.images.detach()))
    return made


@pytest.mark.parametrize("number", [1, 2])
def test_redrawn_fakes_are_of_new_noise_and_only_they_teach(number: int) -> None:
    once, twice = stage_of(number), stage_of(number, changed(fakes="redrawn"))
    one, two = images_of_g(once), images_of_g(twice)
    shown: list[Tensor] = []
    first = twice.discriminator.down[0]
    first.register_forward_pre_hook(lambda _, x: shown.extend(x[0].detach().split(4)))
    for stage in (once, twice):
        train_step(stage, batch(number), random(0))
    assert len(one) == 1 and len(two) == 2
    assert_close(one[0], two[0], rtol=0, atol=1e-6)
    assert not torch.allclose(two[0], two[1], atol=1e-4)
    assert_close(shown[1], two[0], rtol=0, atol=0)  # D's fakes
    assert_close(shown[-1], two[1], rtol=0, atol=0)  # what G pays for


def test_the_kl_is_summed_averaged_or_not_there() -> None:
    gaussian = Gaussian(torch.randn(4, 6), torch.randn(4, 6))
    layer = build_stage1(tiny()).conditioning
    off = build_stage1(tiny(conditioning_augmentation=False)).conditioning
    assert_close(kl_of(gaussian, layer, "sum"), gaussian.kl_to_standard())
    assert_close(6 * kl_of(gaussian, layer, "mean"), gaussian.kl_to_standard())
    assert kl_of(gaussian, off, "sum") == 0.0 and kl_of(None, None, "sum") == 0.0


@pytest.mark.parametrize("more", [{"conditioning_augmentation": False}, {"stage2_text": False}])
def test_the_ablations_train_without_a_kl(more: dict[str, object]) -> None:
    paying, free = (stage_of(2, changed(kl_weight=w), tiny(**more)) for w in (1e6, 0.0))
    before = state(paying.generator)
    for stage in (paying, free):
        assert train_step(stage, batch(2), random(0))["kl"] == 0.0
    after = state(paying.generator)
    assert_close(after, state(free.generator), rtol=0, atol=0)
    assert not torch.equal(before["rgb.weight"], after["rgb.weight"])


@pytest.mark.parametrize("preset", ["paper", "authors-tf", "authors-pt"])
@pytest.mark.parametrize("number", [1, 2])
def test_the_presets_train(preset: str, number: int) -> None:
    settings = load_settings([preset])
    chosen = settings.stage1 if number == 1 else settings.stage2
    stage = stage_of(number, chosen, tiny(preset))
    before = state(stage.generator) | state(stage.discriminator)
    report = train_step(stage, batch(number), random(0))
    assert all(torch.isfinite(value) for value in report.values())
    after = state(stage.generator) | state(stage.discriminator)
    still = [n for n, p in stage.generator.named_parameters() if torch.equal(before[n], after[n])]
    assert not [name for name in still if not name.startswith("conditioning")]


def test_a_one_stage_model_of_256_trains() -> None:
    a = tiny("ablation-one-stage-256", image_px=256)
    stage = stage_of(1, a=a)
    pixels = torch.randint(0, 256, (2, 3, 256, 256), dtype=torch.uint8, generator=random(0))
    embedding = torch.randn(2, 12, generator=random(1))
    report = train_step(stage, StepBatch(pixels, embedding, embedding.flip(0)), random(0))
    assert torch.isfinite(report["d_loss"]) and torch.isfinite(report["g_loss"])


@pytest.mark.parametrize("kind", ["running", "batch", "drift"])
def test_what_a_frozen_stage1_normalises_by_and_what_moves(kind: str) -> None:
    stage = stage_of(2, changed(frozen_statistics=kind))
    sketcher = stage.sketcher
    assert sketcher is not None
    before = state(sketcher)
    seen: list[Tensor] = []
    sketcher.register_forward_hook(lambda _, __, out: seen.append(out.images.clone()))
    train_step(stage, batch(2), random(0))
    moved = [
        name for name, value in state(sketcher).items() if not torch.equal(value, before[name])
    ]
    if kind == "drift":
        kinds = ("running_mean", "running_var", "num_batches_tracked")
        assert moved and all(name.endswith(kinds) for name in moved)
    else:
        assert not moved
    assert not sketcher.training
    # Fresh statistics are 0 and 1: those of the batch give another sketch.
    other = stage_of(2)
    assert other.sketcher is not None
    running: list[Tensor] = []
    other.sketcher.register_forward_hook(lambda _, __, out: running.append(out.images.clone()))
    train_step(other, batch(2), random(0))
    assert torch.allclose(seen[0], running[0]) == (kind == "running")


def test_batch_statistics_are_given_back_after_an_error() -> None:
    sketcher = build_stage1(tiny()).eval()
    with pytest.raises(KeyError), batch_statistics(sketcher, "batch"):
        assert sketcher.training and not sketcher.project_norm.track_running_stats
        raise KeyError
    assert not sketcher.training and sketcher.project_norm.track_running_stats


def test_fine_tuning_moves_stage1_by_its_share_of_the_rate() -> None:
    stage = stage_of(2, changed(finetune_stage1=0.1))
    assert stage.sketcher is not None
    before = state(stage.sketcher)
    train_step(stage, batch(2), random(0))
    after = state(stage.sketcher)
    steps = {name: (after[name] - before[name]).abs().max() for name, _ in
             stage.sketcher.named_parameters()}  # fmt: skip
    assert all(step > 0 for step in steps.values())
    assert max(steps.values()).item() == pytest.approx(0.1 * 2e-4, rel=1e-2)  # Adam's first step
    set_learning_rate(stage, 0.5)
    rates = [group["lr"] for group in stage.generator_optimizer.param_groups]
    assert rates == pytest.approx([1e-4, 1e-5])


@pytest.mark.parametrize("change", [{"finetune_stage1": 0.1}, {"frozen_statistics": "drift"}])
def test_a_stage1_that_moves_is_in_the_checkpoint(change: dict[str, object], tmp_path) -> None:
    whole, half = (stage_of(2, changed(**change)) for _ in range(2))
    for stage in (whole, whole, half):
        train_step(stage, batch(2), random(stage.step))
    save_checkpoint(tmp_path / "checkpoint.pt", half)
    resumed = stage_of(2, changed(**change))
    restore(resumed, read_checkpoint(tmp_path / "checkpoint.pt"), tmp_path / "checkpoint.pt")
    train_step(resumed, batch(2), random(resumed.step))
    assert whole.sketcher is not None and resumed.sketcher is not None
    assert_close(state(resumed.sketcher), state(whole.sketcher), rtol=0, atol=0)
    assert_close(state(resumed.generator), state(whole.generator), rtol=0, atol=0)


def test_a_fixed_stage1_is_not_in_the_checkpoint(tmp_path) -> None:
    stage = stage_of(2)
    save_checkpoint(tmp_path / "checkpoint.pt", stage)
    saved = read_checkpoint(tmp_path / "checkpoint.pt")
    assert saved.pop("sketcher") is None
    restore(stage, saved, tmp_path / "checkpoint.pt")  # as a checkpoint of before


def test_epochs_become_steps_of_the_data_set() -> None:
    paper = load_settings(["paper"])
    assert in_steps(paper, 1, 138).stage1.steps == 600 * 138
    assert in_steps(paper, 2, 138).stage2.steps == 600 * 138
    assert in_steps(paper, 2, 138).stage1 == paper.stage1
    plain = load_settings([])
    assert in_steps(plain, 1, 138) == plain


def test_logs_tell_the_losses_of_the_three_pairs() -> None:
    stage, drawn = stage_of(1, a=tiny()), batch(1)
    with torch.no_grad():
        logits = stage_of(1, a=tiny()).discriminator(to_images(drawn.pixels), drawn.embedding)
    report = train_step(stage, drawn, random(0))
    assert_close(report["d_real_loss"], F.softplus(-logits).mean(), rtol=1e-4, atol=1e-5)
    total = report["d_real_loss"] + (report["d_wrong_loss"] + report["d_fake_loss"]) / 2
    assert_close(report["d_loss"], total)
