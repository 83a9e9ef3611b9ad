"""The joint embedding of captions and images in training: losses, fold, features, retrieval.

Paper: char-CNN-RNN (Reed et al., CVPR 2016), section 3: compatibility F(v, t) = theta(v) . phi(t).
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from stackgan.data.cache import PixelCache
from stackgan.data.examples import Progress
from stackgan.errors import InputError
from stackgan.files import whole_file
from stackgan.networks.features import EfficientNetLite
from stackgan.tensors import Scalar
from stackgan.text.char_cnn_rnn import CharCnnRnn

MEAN_NORM = 10.0


def structured_loss(
    scores: Tensor, classes: Tensor, margin: float = 1.0, fits: Tensor | None = None
) -> Scalar:
    """Symmetric structured joint embedding loss, averaged over the batch.

    ``scores[i, j]`` is the compatibility of image i and caption j; the diagonal are the true pairs.
    For every image each caption of another class pays max(0, margin + its score - the true one),
    for every caption each image of another class the same; pairs of the same class pay nothing, nor
    do those that ``fits`` (bool [B, B]) says describe each other as well.

    Paper: char-CNN-RNN (Reed et al., CVPR 2016), section 3, equations 2 to 5.
    Differs: all violations of a batch are summed instead of the largest one, as the published
    training code does, because the largest alone learns slowly and follows mislabelled pairs.
    """
    true = scores.diagonal()
    other = classes[:, None] != classes[None, :]
    by_image = (margin + scores - true[:, None]).clamp_min(0)
    by_caption = (margin + scores - true[None, :]).clamp_min(0)
    if fits is not None:
        other = other & ~fits
    violations: Tensor = (by_image + by_caption) * other
    return violations.sum() / scores.shape[0]


def contrastive_loss(scores: Tensor, logit_scale: Tensor, fits: Tensor | None = None) -> Scalar:
    """Symmetric cross-entropy over a batch of cosine ``scores`` [B, B], in nats, averaged.

    Image i and caption j are left out of each other's choice where ``fits`` (bool [B, B]) says that
    the caption describes the image as well as its own.

    Differs: an option beside the paper's hinge because it tells images of one class apart.
    """
    own = torch.arange(scores.shape[0], device=scores.device)
    logits = scores * logit_scale
    if fits is not None:
        beside = fits & ~torch.eye(len(fits), dtype=torch.bool, device=fits.device)
        logits = logits.masked_fill(beside, float("-inf"))
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


def fold(encoder: CharCnnRnn, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Scale and shift ``emb_proj`` so that these captions' embeddings have mean 0 and mean norm 10.

    Weights are rounded to bf16 first, as the file keeps them. Returns (mean [E], scale []): what
    was taken away and what was multiplied, so embedding / scale + mean is what was trained.

    Differs: published encoders are used as they are; embeddings near norm 1, or with a large common
    part, leave the GAN's text ignored for thousands of steps (seen in trials).
    """
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.ndim > 1:
                parameter.copy_(parameter.bfloat16())
        states = torch.cat(
            [
                encoder.mean_state(encoder.numbers(captions[start : start + 256])).double()
                for start in range(0, len(captions), 256)
            ]
        )
        layer = encoder.emb_proj
        weight, bias = layer.weight.double(), layer.bias.double()
        centred = (states - states.mean(0)) @ weight.T
        spread = centred.norm(dim=1).mean()
        if not spread > 1e-12:
            raise InputError("the captions have one and the same embedding, nothing can be scaled")
        mean, scale = states.mean(0) @ weight.T + bias, MEAN_NORM / spread
        layer.weight.copy_((weight * scale).bfloat16())
        layer.bias.copy_(-(states.mean(0) @ layer.weight.double().T))
    return mean.float(), scale.float()


def cached_features(cache: PixelCache, progress: Progress | None = None) -> Tensor:
    """EfficientNet-Lite1 features of a pixel cache and its mirror images, float32 [N, 2, 1280].

    Computed once (about 12 images a second and core) and kept beside the pixels; after a Ctrl-C
    those that were done are there.
    """
    file = cache.path.with_suffix(".lite1.npz")
    checksum = hashlib.sha256(cache.pixels.tobytes()).hexdigest()
    parts = _kept_features(file, checksum)
    network = None
    count, done = len(cache.pixels), sum(map(len, parts))
    try:
        for start in range(done, count, 64):
            network = network or EfficientNetLite(1)
            batch = torch.from_numpy(cache.pixels[start : start + 64].transpose(0, 3, 1, 2).copy())
            both = [network.features(batch), network.features(batch.flip(3))]
            parts.append(torch.stack(both, 1))
            if progress:
                progress(min(start + 64, count), count)
    finally:
        if sum(map(len, parts)) > done:
            _keep_features(file, torch.cat(parts), checksum)
    return torch.cat(parts)


def _kept_features(file: Path, checksum: str) -> list[Tensor]:
    """What ``file`` holds of the features of these pixels; nothing where it is damaged."""
    try:
        with np.load(file, allow_pickle=False) as stored:
            if str(stored["pixels_sha256"]) == checksum:
                return [torch.from_numpy(stored["features"])]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        pass
    return []


def _keep_features(file: Path, features: Tensor, checksum: str) -> None:
    with whole_file(file) as part, part.open("wb") as opened:
        np.savez(opened, features=features.numpy(), pixels_sha256=np.array(checksum))


def nearest_captions(
    images: Tensor, captions: Tensor, texts: Sequence[str], top: int
) -> list[list[str]]:
    """The ``top`` most compatible texts of each image, best first, none twice."""
    found = []
    for row in images @ captions.T:
        chosen: list[str] = []
        for place in row.argsort(descending=True, stable=True).tolist():
            if texts[place] not in chosen:
                chosen.append(texts[place])
            if len(chosen) == top:
                break
        found.append(chosen)
    return found
