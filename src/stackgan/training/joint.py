"""The joint embedding of captions and images: loss, image side, retrieval.

Paper: char-CNN-RNN (Reed et al., CVPR 2016), section 3: compatibility F(v, t) = theta(v) . phi(t).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stackgan.errors import InputError
from stackgan.tensors import Scalar


def structured_loss(scores: Tensor, classes: Tensor, margin: float = 1.0) -> Scalar:
    """Symmetric structured joint embedding loss, averaged over the batch.

    ``scores[i, j]`` is the compatibility of image i and caption j; the diagonal are the true pairs.
    For every image each caption of another class pays max(0, margin + its score - the true one),
    for every caption each image of another class the same; pairs of the same class pay nothing.

    Paper: char-CNN-RNN (Reed et al., CVPR 2016), section 3, equations 2 to 5.
    Differs: all violations of a batch are summed instead of the largest one, as the published
    training code does, because the largest alone learns slowly and follows mislabelled pairs.
    """
    true = scores.diagonal()
    other = classes[:, None] != classes[None, :]
    by_image = (margin + scores - true[:, None]).clamp_min(0)
    by_caption = (margin + scores - true[None, :]).clamp_min(0)
    violations: Tensor = (by_image + by_caption) * other
    return violations.sum() / scores.shape[0]


def contrastive_loss(scores: Tensor, logit_scale: Tensor) -> Scalar:
    """Symmetric cross-entropy over a batch of cosine ``scores`` [B, B], in nats, averaged.

    Differs: an option beside the paper's hinge because it tells images of one class apart.
    """
    own = torch.arange(scores.shape[0], device=scores.device)
    logits = scores * logit_scale
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def compatibility(images: Tensor, captions: Tensor, similarity: str) -> Tensor:
    """Return [images, captions]: dot products, or cosines for ``similarity`` "cosine"."""
    if similarity == "cosine":
        images, captions = F.normalize(images, dim=1), F.normalize(captions, dim=1)
    elif similarity != "dot":
        raise InputError(f"similarity is {similarity!r}, expected 'dot' or 'cosine'")
    return images @ captions.T


def retrieval_accuracy(
    images: Tensor, image_classes: Sequence[str], captions: Tensor, caption_classes: Sequence[str]
) -> tuple[float, float]:
    """Top-1 class accuracy, 0..1: (image -> mean caption of a class, caption -> mean image).

    Both sides come normalised if their similarity is the cosine. Classes without a member on the
    other side are left out of what can be found.
    """

    def accuracy(
        queries: Tensor, query_classes: Sequence[str], answers: Tensor, names: Sequence[str]
    ) -> float:
        known = sorted(set(names))
        place = {name: index for index, name in enumerate(known)}
        index = torch.tensor([place[name] for name in names])
        sums = torch.zeros(len(known), answers.shape[1]).index_add_(0, index, answers)
        means = sums / index.bincount(minlength=len(known))[:, None]
        found = (queries @ means.T).argmax(1)
        wanted = torch.tensor([place.get(name, -1) for name in query_classes])
        return float((found == wanted).float().mean())

    return (
        accuracy(images, image_classes, captions, caption_classes),
        accuracy(captions, caption_classes, images, image_classes),
    )


class SmallImageNetwork(nn.Module):
    """Four strided convolutions, trained along with the captions: for toy sets and bare machines.

    Takes uint8 pixels [B, 3, 64, 64], gives features [B, 2048] that keep the position.
    """

    image_px = 64
    features = 2048

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 64, 128, 128)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 4, 2, 1)
            for before, after in zip(widths, widths[1:], strict=False)
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Return non-negative features, channels x 4 x 4 flattened."""
        x = pixels.float().sub(127.5).div(127.5)
        for convolution in self.convolutions:
            x = F.leaky_relu(convolution(x), 0.1)
            x = x - x.mean((1, 2, 3), keepdim=True)
            x = x / (x.square().mean((1, 2, 3), keepdim=True) + 1e-6).sqrt()
        return x.flatten(1)


def frozen_features(
    pixels: Tensor,
    network: nn.Module,
    *,
    batch_size: int = 32,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Run a frozen network over uint8 [N, 3, H, W]: float32 [N, 2, F], the images and mirrored."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(pixels), batch_size):
            batch = pixels[start : start + batch_size]
            both = [network(batch), network(batch.flip(3))]
            parts.append(torch.stack(both, 1).float())
            if progress:
                progress(min(start + batch_size, len(pixels)), len(pixels))
    return torch.cat(parts).clone()
