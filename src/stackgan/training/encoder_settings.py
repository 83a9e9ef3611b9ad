"""How a text encoder is trained, and what its training reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from stackgan.text.char_cnn_rnn import Sizes

ImageNetwork = Literal["lite1", "small"]


@dataclass(frozen=True)
class EncoderSettings:
    """How an encoder is trained."""

    steps: int = 6000
    """Mini-batches."""
    batch: int = 40
    """Pairs in a mini-batch; the structured objective takes one pair of each of so many classes."""
    learning_rate: float = 7e-4
    """Adam's highest rate; warmed up over 100 steps, decayed to zero along a cosine."""
    weight_decay: float = 1e-4
    """AdamW's decay of matrices."""
    word_drop: float = 0.1
    """Chance that a word is left out of a caption shown, so that no caption is learnt by heart."""
    feature_drop: float = 0.2
    """Chance that a frozen image feature is hidden."""
    image_px: int = 64
    """Side of the photographs shown to the image network; captioned ones are shrunk to it too."""
    word_weight: float = 0.05
    """Weight of naming the caption's words from its embedding, in nats summed over the words."""
    wordings_share: float = 0.0
    """Share of the captions shown that are wordings as people type them."""
    wordings: int = 16
    """Such wordings made of each photograph, where their share is not 0."""
    pad: int = 8
    """Spaces read before a caption; while it is trained from half to one and a half times as many,
    so that words are read wherever they stand. 0: none, as published."""
    objective: Literal["structured", "contrastive"] = "structured"
    """The paper's hinge over classes, or a cross-entropy over single images."""
    image_network: ImageNetwork = "lite1"
    """Frozen EfficientNet-Lite1 features, or a small network trained along."""
    held_out: float = 0.05
    """Share of the images kept out of training, to measure retrieval on; at most 400 images."""
    seed: int = 0
    """Everything drawn follows from it."""
    precision: Literal["float32", "bf16"] = "float32"
    """bf16: autocast where the processor multiplies bf16 natively."""
    name: str = "char-cnn-rnn"
    """The encoder's name in its file."""
    sizes: Sizes = field(default_factory=Sizes)
    """The network."""


@dataclass(frozen=True)
class StepReport:
    """One training step."""

    step: int
    loss: float


@dataclass(frozen=True)
class EncoderReport:
    """A finished training: last loss (mean of 50 steps) and top-1 class retrieval on held-out."""

    steps: int
    loss: float
    image_to_class: float
    caption_to_class: float
    held_out: int
    chance: float
    """What guessing would find: one over the number of classes measured on."""

    def __str__(self) -> str:
        images = "held-out image" if self.held_out == 1 else "held-out images"
        measured = f"{self.held_out} {images}" if self.held_out else "training images"
        return (
            f"{self.steps} steps, loss {self.loss:.3f}; on {measured} the class is found from the "
            f"image in {self.image_to_class:.0%}, from a caption in {self.caption_to_class:.0%} "
            f"(by guessing in {self.chance:.1%})"
        )
