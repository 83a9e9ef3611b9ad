"""The loop: which batch and which chance a step gets, and what a log's line means."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from stackgan.config import Architecture, StageSettings
from stackgan.data.batches import Batches
from stackgan.data.conditions import Conditions
from stackgan.networks.initialise import initialise
from stackgan.systems.stackgan.build import build_discriminator, build_stage1
from stackgan.training import loop
from stackgan.training.loop import Tally, run_steps, step_random
from stackgan.training.steps import Stage, StepBatch, make_stage, train_step

TINY = Architecture(
    embedding_dim=4,
    condition_dim=3,
    noise_dim=5,
    text_dim=4,
    stage1_generator_width=4,
    stage1_discriminator_width=4,
    normalisation="none",
)
SETTINGS = StageSettings(steps=6, batch_size=2, loss="logistic")


@pytest.fixture
def stage() -> Stage:
    networks = build_stage1(TINY), build_discriminator(TINY, 1)
    for network in networks:
        initialise(network, torch.Generator().manual_seed(1))
    return make_stage(*networks, SETTINGS)


@pytest.fixture
def batches() -> Batches:
    """Eight examples, so four batches an epoch; each example has a caption of its own."""
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (8, 64, 64, 3), dtype=np.uint8)
    embeddings = torch.from_numpy(random.standard_normal((8, 4), dtype=np.float32))
    return Batches(pixels, embeddings, [(row,) for row in range(8)], [None] * 8, 2, 64, seed=3)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("start", [0, 3])
def test_a_steps_batch_and_chance_are_functions_of_its_place_alone(
    start: int, number: int, stage: Stage, batches: Batches
) -> None:
    given = []
    stage.generator.register_forward_pre_hook(lambda _, inputs: given.append(inputs))
    stage.step = start
    assert len(list(run_steps(stage, batches, 7, number))) == 6 - start
    for step, (embedding, noise, eps) in enumerate(given, start=start):
        assert torch.equal(embedding, batches.batch(*divmod(step, 4)).embedding)
        random = step_random(7, number, step)
        assert torch.equal(noise, torch.randn(2, 5, generator=random))
        assert torch.equal(eps, torch.randn(2, 3, generator=random))


def test_a_step_is_given_the_conditions_of_its_batch(
    stage: Stage, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[StepBatch] = []

    def step(stage: Stage, batch: StepBatch, random: torch.Generator) -> dict[str, torch.Tensor]:
        given.append(batch)
        return train_step(stage, batch, random)

    monkeypatch.setattr(loop, "train_step", step)
    first = next(run_steps(stage, batches, 7, 1))
    boxes = np.random.default_rng(1).uniform(0.1, 0.4, (8, 4))
    batches.conditions, stage.step = Conditions(boxes), 1
    next(run_steps(stage, batches, 7, 1))
    assert given[0].conditions == {} and first
    expected = batches.batch(0, 1).conditions["box"]
    assert expected.all() and torch.equal(given[1].conditions["box"], expected)


def test_seed_stage_and_step_each_give_a_stream_of_their_own() -> None:
    streams = {
        step_random(seed, stage, step).initial_seed()
        for seed in range(4)
        for stage in (1, 2)
        for step in range(50)
    }
    assert len(streams) == 4 * 2 * 50
    assert step_random(3, 1, 9).initial_seed() == step_random(3, 1, 9).initial_seed()


def test_a_tally_is_the_mean_of_the_steps_that_reported_a_name() -> None:
    tally = Tally()
    tally.add({"kl": torch.tensor(1.0), "r1": torch.tensor(8.0)})
    tally.add({"kl": torch.tensor(4.0)})
    assert tally.means() == {"kl": 2.5, "r1": 8.0}
    again = Tally(**tally.state())
    again.add({"kl": torch.tensor(7.0)})
    assert again.means() == {"kl": 4.0, "r1": 8.0}
    assert_close(tally.sums["kl"], torch.tensor(5.0, dtype=torch.float64))
