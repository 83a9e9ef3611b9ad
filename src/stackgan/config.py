"""Validated settings: defaults < preset < file < ``--set``.

:class:`Architecture` says what the networks are and travels in every model folder and checkpoint;
:class:`StageSettings` says how one stage is trained; :class:`Settings` is a whole run.
"""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stackgan.errors import InputError, nearest
from stackgan.nested import merge, parse_assignment, refuse_huge
from stackgan.plain_text import decode_utf

_Beta = Annotated[float, Field(ge=0, lt=1)]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Architecture(_Frozen):
    """What the networks are. The defaults are the paper's; widths are the authors' (PT, 128/64)."""

    embedding_dim: int = Field(1024, ge=1)
    """E, set by the text encoder."""
    condition_dim: int = Field(128, ge=1)
    """Ng, the length of the condition. Paper: section 3.5."""
    noise_dim: int = Field(100, ge=1)
    """Nz, the length of z. Paper: section 3.5."""
    text_dim: int = Field(128, ge=1)
    """Nd, the length of the text code inside a discriminator. Paper: section 3.5."""
    image_px: Literal[128, 256] = 256
    """Side of Stage-II's pictures."""
    residual_blocks: int | None = Field(None, ge=0)
    """Stage-II's residual blocks; None: two for 128, four for 256. Paper: section 3.5."""
    stage1_generator_width: int = Field(128, ge=2)
    """Stage-I's G has 8 times as many maps at 4x4."""
    stage1_discriminator_width: int = Field(64, ge=1)
    """Maps after the first down block of Stage-I's D."""
    stage2_generator_width: int = Field(128, ge=4)
    """Stage-II's G has 4 times as many maps at 16x16."""
    stage2_discriminator_width: int = Field(64, ge=1)
    """Maps after the first down block of Stage-II's D."""
    conditioning: Literal["linear", "bounded", "relu", "leaky_relu"] = "linear"
    """The Conditioning Augmentation layer's form."""
    text_input: Literal["as_is", "standardised"] = "as_is"
    """The networks read the text encoder's embeddings as they are; or moved and scaled so that
    those of the training captions lie about zero, whatever the encoder (modern)."""
    modulated: bool = False
    """Stage-I's G gives the latent to every block (modern)."""
    output: Literal["rgb", "residual"] = "rgb"
    """Stage-II paints the picture, or adds to the enlarged sketch (modern)."""
    normalisation: Literal["batch", "spectral", "none"] = "batch"
    """The discriminators' normalisation."""
    stage2_normalisation: Literal["batch", "spectral", "none"] | None = None
    """Stage-II's discriminator's, where it differs from ``normalisation``."""
    unconditional: bool = False
    """The discriminators also judge the image alone."""
    patches: bool = False
    """Stage-II's unconditional head judges each of 32x32 patches in place of the whole (modern)."""
    minibatch_deviation: bool = False
    """The discriminators see the batch's deviation."""
    residual_discriminator: bool = False
    """Down blocks get a second convolution and a skip."""
    max_discriminator_width: int | None = Field(None, ge=8)
    """No discriminator map count grows past this many; None: no bound."""
    stages: Literal[1, 2] = 2
    """1: there is no Stage-II (the baselines of one stage)."""
    stage1_px: Literal[64, 256] = 64
    """Side of Stage-I's images; 256 is the one-stage baseline, judged by Stage-II's
    discriminator."""
    conditioning_augmentation: bool = True
    """Whether the condition is drawn; off, it is the mean, without eps and KL (ablation)."""
    eps: Literal["normal", "truncated"] = "normal"
    """The condition's eps; truncated: no further than two deviations, as TF."""
    stage2_text: bool = True
    """Whether Stage-II's G reads the caption again; off: text in Stage-I only (ablation)."""
    stage1_generator: Literal["plain", "bottleneck"] = "plain"
    """Up blocks alone; or TF's, with bottleneck residual blocks at 4x4 and 8x8."""
    stage1_discriminator: Literal["plain", "bottleneck"] = "plain"
    """Down blocks alone; or TF's, with a bottleneck residual block at 4x4."""
    stage2_discriminator: Literal["plain", "bottleneck"] = "plain"
    """3x3 convolutions back to 8 widths; or TF's, 1x1 ones and a bottleneck residual block."""
    discriminator_text: Literal["linear", "leaky_relu", "mean"] = "leaky_relu"
    """D's text: a fully connected layer of its own, that with LeakyReLU (TF), or the generator's
    mean (PT)."""
    joint_kernel: Literal[1, 3] = 1
    """Side of the convolution over image and text: 1 as the paper, 3 as PT."""
    stage1_unconditional: bool | None = None
    """Stage-I's ``unconditional``, where it differs."""
    unconditional_head: Literal["joint", "score"] = "joint"
    """The head that judges the image alone: with a convolution before its score, or none (PT)."""
    biases: Literal["none", "score", "first"] = "first"
    """Convolutions that have one under batch normalisation: none (TF); the discriminators' scores
    (PT); these and Stage-II's first."""
    crop_px: Literal[0, 64, 128] = 0
    """Stage-II is trained on random crops of this side, its discriminator built for them, while
    Stage-I draws the whole sketch; on whole pictures where these are no larger, or where it is 0.
    Crops of 128 cost a third and see three times the pictures (modern)."""
    sketch_strengths: bool = False
    """Stage-II is told how much noise and blur its sketch carries: two more planes beside its
    colours (modern; ``stage2.sketch_noise``, ``stage2.sketch_blur``)."""
    arithmetic: Literal["fast", "literal"] = "fast"
    """How the same functions are computed: fast, or operation by operation as the published PyTorch
    code does, so that its numbers come out to the last bits (slower)."""

    @property
    def crops_px(self) -> int:
        """Side of the crops that Stage-II is trained on; 0: whole pictures."""
        return self.crop_px if self.crop_px < self.image_px else 0

    @model_validator(mode="after")
    def _parts_fit(self) -> Architecture:
        if self.stage1_px == 256 and self.stages == 2:
            raise ValueError("a Stage-I of 256 is a model of one stage: set architecture.stages=1")
        if self.stage1_generator == "bottleneck" and (self.modulated or self.stage1_px != 64):
            raise ValueError("the bottleneck stage1_generator is neither modulated nor of 256")
        kinds = {self.normalisation, self.stage2_normalisation or self.normalisation}
        if kinds != {"batch"} and "bottleneck" in (
            self.stage1_discriminator,
            self.stage2_discriminator,
        ):
            raise ValueError("a bottleneck discriminator needs architecture.normalisation=batch")
        if self.discriminator_text == "mean" and not self.stage2_text:
            raise ValueError("without stage2_text there is no mean for discriminator_text=mean")
        return self


class StageSettings(_Frozen):
    """How one stage is trained. The defaults are the paper's; steps are batches."""

    steps: int = Field(80_000, ge=1)
    """Steps in all, where ``epochs`` is not set."""
    epochs: int | None = Field(None, ge=1)
    """Epochs in all, in place of ``steps``; what is given last counts. Paper: 600 (about 83,000
    batches of 64 on CUB)."""
    batch_size: int = Field(64, ge=2)
    """Examples in a step."""
    accumulate: int = Field(1, ge=1)
    """A step works through its batch in so many equal parts, for less memory; batch normalisation
    then sees each part by itself."""
    recompute: Literal["none", "largest", "all"] = "largest"
    """Which of the networks' inner maps are not kept but computed again on the way back: those of
    Stage-II's generator above 64x64, which costs a fortieth of a step; or all that can be, for
    still less memory and about a third more time."""
    generator_lr: float = Field(2e-4, gt=0)
    """Adam's step for G."""
    discriminator_lr: float = Field(2e-4, gt=0)
    """Adam's step for D."""
    betas: tuple[_Beta, _Beta] = (0.5, 0.999)
    """Adam's betas."""
    halve_every_epochs: int = Field(100, ge=0)
    """The rates halve every so many epochs; 0: never. Paper: 100."""
    decay_from: float = Field(1.0, ge=0, le=1)
    """From this share of the steps on the rates fall linearly to a hundredth (modern)."""
    loss: Literal["minimax", "logistic", "sigmoid", "hinge"] = "minimax"
    """minimax: log(1 - D) to the letter; logistic: non-saturating, on logits (TF); sigmoid: the
    same on probabilities, which saturate (PT)."""
    conditional_weight: float = Field(1.0, ge=0)
    """Weight of the head that reads the caption, for D and G alike; the other head's is 1."""
    heads: Literal["apart", "together"] = "apart"
    """How D's head that judges the image alone counts: added, or in one mean over both heads' real
    answers and one over their three fake ones (PT)."""
    wrong_pair: Literal["caption", "image", "shifted"] = "caption"
    """A real image with another class's caption; another example's image with this caption (TF);
    or with the next caption of the batch, whatever its class (PT)."""
    fakes: Literal["reused", "redrawn"] = "reused"
    """G pays for the fakes that D has just seen (PT), or for new ones of new z and eps (TF)."""
    kl_weight: float = Field(1.0, ge=0)
    """lambda. Paper: 1."""
    kl_reduction: Literal["sum", "mean"] = "sum"
    """The KL's dimensions are summed as in the paper, or averaged as in the authors' code."""
    r1_weight: float = Field(0.0, ge=0)
    """gamma of gamma / 2 * R1."""
    r1_every: int = Field(16, ge=1)
    """R1 is taken every so many steps and weighs as many times more."""
    projected_weight: float = Field(0.0, ge=0)
    """G's weight of a second discriminator on frozen EfficientNet-Lite1 features (extra `eval`);
    0: there is none."""
    projected_loss: Literal["logistic", "hinge"] = "hinge"
    """The loss of its heads: hinge as Sauer et al., whatever ``loss`` the other has."""
    projected_text: bool = False
    """Its heads read the caption too (modern)."""
    projected_wrong_weight: float = Field(0.5, ge=0)
    """With ``projected_text``: its weight of real images with a wrong caption."""
    projected_px: int = Field(0, ge=0, le=512)
    """Smaller images are enlarged to this side before its network sees them; 0: none is."""
    projected_taps: tuple[Literal[2, 4, 8, 16, 32], ...] = (8, 16, 32)
    """The strides of the network at which it has heads."""
    class_weight: float = Field(0.0, ge=0)
    """Weight, for D and G alike, of naming an image's class from D's features."""
    contrastive_weight: float = Field(0.0, ge=0)
    """Weight, for D and G alike, of finding an image's caption among the batch's."""
    spectrum_weight: float = Field(0.0, ge=0)
    """What G pays for power at single frequencies beyond half as much again as photographs have:
    stripes and dots of about two pixels."""
    augment: tuple[Literal["translation", "cutout"], ...] = ()
    """Differentiable augmentation of what D sees."""
    average: float = Field(0.0, ge=0, lt=1)
    """Decay of the running average of G's weights; 0: none, but for ``average_half_life``."""
    average_half_life: int = Field(0, ge=0)
    """Images in which the running average forgets half, in place of ``average``; 0: by that."""
    average_ramp: float = Field(0.05, ge=0, le=1)
    """With it: and no more than this share of the images so far, so that an early average is of
    late weights; 0: no such bound."""
    pair_steps: int = Field(0, ge=0)
    """Stage-II only: the first steps refine shrunken photographs, not sketches."""
    pair_share: float = Field(0.0, ge=0, le=1)
    """Stage-II only: after them this share of each batch still does."""
    pixel_weight: float = Field(0.0, ge=0)
    """Stage-II only: weight of the mean absolute difference to the photograph of such a pair."""
    pixel_steps: int = Field(0, ge=0)
    """Stage-II only: the first steps have that loss alone."""
    sketch_weight: float = Field(0.0, ge=0)
    """Stage-II only: weight of the difference between the shrunken picture and its sketch."""
    sketch_noise: float = Field(0.0, ge=0, le=1)
    """Stage-II only: sketches carry noise of up to this deviation (in [-1, 1]), told to G with
    ``architecture.sketch_strengths``."""
    sketch_blur: float = Field(0.0, ge=0, le=1.5)
    """Stage-II only: sketches are blurred by up to this many pixels, told to G likewise."""
    frozen_statistics: Literal["running", "batch", "drift"] = "running"
    """Stage-II only: the frozen Stage-I's batch normalisation uses its own statistics; the batch's
    (TF); or the batch's, which its own follow (PT, a defect)."""
    finetune_stage1: float = Field(0.0, ge=0)
    """Stage-II only: Stage-I learns along at this share of G's rate (TF: 0.1, optional); 0: it is
    fixed."""

    @model_validator(mode="after")
    def _parts_are_equal(self) -> StageSettings:
        if self.batch_size % self.accumulate or self.batch_size < 2 * self.accumulate:
            raise ValueError(
                f"a batch_size of {self.batch_size} has no {self.accumulate} equal parts of two or "
                "more: choose accumulate so that it has"
            )
        if list(self.projected_taps) != sorted(set(self.projected_taps)) or not self.projected_taps:
            raise ValueError("projected_taps are strides in ascending order, such as [8, 16, 32]")
        reads = self.projected_weight > 0 and self.projected_text
        if reads and self.projected_wrong_weight and self.wrong_pair != "caption":
            raise ValueError(
                f"wrong_pair={self.wrong_pair} gives no wrong captions for projected_text: set "
                "wrong_pair=caption or projected_wrong_weight=0"
            )
        if self.average and self.average_half_life:
            raise ValueError(
                "average and average_half_life are both set: the running average has one of them, "
                "so set the other to 0"
            )
        return self

    @property
    def averages(self) -> bool:
        """Whether there is a running average of G's weights."""
        return self.average > 0 or self.average_half_life > 0


class EncoderTraining(_Frozen):
    """How a run that is given no text encoder trains its own. The defaults are the paper's."""

    steps: int = Field(6_000, ge=1)
    """Mini-batches."""
    batch_size: int = Field(40, ge=2)
    """Pairs in a mini-batch; the structured objective takes one of each of so many classes."""
    photographs: int = Field(0, ge=0)
    """At most so many of the photographs, from everywhere, with their captions; 0: all."""
    objective: Literal["structured", "contrastive"] = "structured"
    """The paper's hinge over classes, or a cross-entropy over single images."""
    image_network: Literal["lite1", "small"] = "lite1"
    """Frozen EfficientNet-Lite1 features, or a small network trained along."""
    image_px: int = Field(64, ge=16, le=1024)
    """Side of the photographs that lite1 is shown; the small network reads 64 always."""
    pad: int = Field(0, ge=0, le=100)
    """Spaces read before a caption, so that its first word counts; 0: none, as the paper."""
    word_weight: float = Field(0.0, ge=0)
    """Weight of naming the caption's words from its embedding; 0: none, as the paper."""
    learning_rate: float = Field(7e-4, gt=0)
    """Adam's highest rate."""
    conv1: int = Field(384, ge=1)
    """Maps of the first convolution."""
    conv2: int = Field(512, ge=1)
    """Maps of the second convolution."""
    hidden: int = Field(256, ge=1)
    """Maps of the third convolution and units of the recurrent net."""
    dim: int = Field(1024, ge=2)
    """Numbers in an embedding."""


class Settings(_Frozen):
    """A whole training run."""

    architecture: Architecture = Architecture()
    stage1: StageSettings = StageSettings()
    stage2: StageSettings = StageSettings()
    encoder: EncoderTraining = EncoderTraining()
    seed: int = Field(0, ge=0, lt=2**62)
    """Everything drawn in the run is a function of it."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """auto: bf16 autocast where the processor computes in it."""
    flip: bool = True
    """Mirror the photographs at random (off where captions say left or right)."""
    shift: bool = True
    """Move photographs that are no larger than the model's pictures by up to a sixteenth."""
    captions_per_image: int = Field(1, ge=1)
    """An example's embedding in training is the mean of so many of its captions' (TF: 4)."""
    wordings_share: float = Field(0.0, ge=0, le=1)
    """Share of the captions shown, to the text encoder and to the GAN, that are wordings as people
    type them ("a pink rose"), made of captions and class names."""
    initialisation: Literal["normal", "truncated"] = "normal"
    """First weights under batch normalisation: N(0, 0.02), or for convolutions that truncated at
    two deviations (TF)."""
    fit: Literal["crop", "squeeze", "box", "box_authors"] = "box"
    """How a photograph becomes square: the centre, the whole pressed together, or what its box
    frames, as in the paper or in the authors' code (without a box: the centre, or the whole)."""
    resize: Literal["bicubic", "through_304", "bilinear"] = "bicubic"
    """How it is resized for training: bicubic; bicubic to 304 and smaller ones from that (TF); or
    bilinear (PT)."""
    log_every: int = Field(50, ge=1)
    """Steps between lines of the log."""
    checkpoint_every: int = Field(500, ge=1)
    """Steps between checkpoints."""
    sheet_every: int = Field(500, ge=1)
    """Steps between sample sheets."""

    @model_validator(mode="after")
    def _parts_fit(self) -> Settings:
        fields = ("pair_steps", "pair_share", "pixel_weight", "pixel_steps", "sketch_weight",
                  "sketch_noise", "sketch_blur", "finetune_stage1")  # fmt: skip
        if any(getattr(self.stage1, name) for name in fields):
            raise ValueError(
                "stage1 has no sketches: pair_*, pixel_*, sketch_* and finetune_stage1 are stage2's"
            )
        if self.stage1.frozen_statistics != "running":
            raise ValueError("stage1 freezes no other stage: frozen_statistics is stage2's")
        if self.wordings_share and self.captions_per_image > 1:
            raise ValueError(
                "captions_per_image averages captions, wordings are shown alone: set "
                "captions_per_image=1 or wordings_share=0"
            )
        return self


def preset_names() -> list[str]:
    """The presets that come with the package, sorted."""
    files = resources.files("stackgan.presets").iterdir()
    return sorted(f.name[:-5] for f in files if f.name.endswith(".toml"))


def load_settings(
    presets: list[str] | None = None,
    file: Path | None = None,
    assignments: list[str] | None = None,
) -> Settings:
    """Resolve settings: defaults < presets in order < ``file`` (TOML) < ``key=value`` assignments.

    Raises:
        InputError: an unknown preset, key or a value outside its range, named with the nearest
            known one.
    """
    merged: dict[str, Any] = {}
    for name in presets or []:
        merge(merged, _preset(name))
    merge(merged, given_settings(file, assignments))
    return validate_settings(merged)


def given_settings(
    file: Path | None = None, assignments: list[str] | None = None
) -> dict[str, Any]:
    """What a user asks for beside the presets, unchecked: ``file`` < ``key=value`` assignments."""
    given: dict[str, Any] = {}
    if file is not None:
        try:
            given = tomllib.loads(decode_utf(file.read_bytes()))
        except (OSError, ValueError, RecursionError) as error:  # TOML's, Unicode's, too deep
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"the settings file {file} cannot be read: {reason}") from None
    for assignment in assignments or []:
        merge(given, parse_assignment(assignment))
    return given


def _preset(name: str) -> dict[str, Any]:
    """The values of a preset, over those of the presets it ``extends``."""
    if name not in preset_names():
        raise InputError(f"there is no preset {name!r}: {nearest(name, preset_names())}")
    text = resources.files("stackgan.presets").joinpath(f"{name}.toml").read_text("utf-8")
    own, values = tomllib.loads(text), dict[str, Any]()
    for base in own.pop("extends", []):
        merge(values, _preset(base))
    merge(values, own)
    return values


def validate_settings(values: dict[str, Any]) -> Settings:
    """Check a nested dictionary of settings; one sentence names the first one that is wrong."""
    refuse_huge(values)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise InputError(_sentence(error)) from None


def _known_keys(path: tuple[Any, ...]) -> list[str]:
    model: Any = Settings
    for part in path:
        field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
        if field is None:
            return []
        model = field.annotation
    return list(getattr(model, "model_fields", {}))


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        key = str(first["loc"][-1])
        known = _known_keys(first["loc"][:-1])
        return f"there is no setting {where!r}: {nearest(key, known)}"
    message = first["msg"].removeprefix("Value error, ")
    if not where:
        return f"the settings do not fit together: {message}"
    return f"the setting {where} is {first['input']!r}: {message[0].lower()}{message[1:]}"
