"""Settings: precedence, presets, and one sentence for each mistake."""

from importlib import resources
from pathlib import Path

import pytest

from stackgan.config import Architecture, Settings, StageSettings, load_settings, preset_names
from stackgan.errors import InputError


def test_the_defaults_are_the_papers_but_for_the_length_and_an_activation_of_the_authors() -> None:
    settings = load_settings(["paper"])
    changed = [name for name, value in Settings() if value != getattr(settings, name)]
    assert changed == ["architecture", "stage1", "stage2"]
    assert settings.architecture == Architecture(discriminator_text="linear")
    assert settings.stage1 == settings.stage2 == StageSettings(epochs=600)
    a, stage = settings.architecture, settings.stage1
    assert (a.condition_dim, a.noise_dim, a.text_dim, a.image_px) == (128, 100, 128, 256)
    assert (stage.batch_size, stage.generator_lr, stage.halve_every_epochs) == (64, 2e-4, 100)
    assert (stage.loss, stage.kl_weight, stage.average) == ("minimax", 1.0, 0.0)


def test_assignments_win_over_the_file_over_the_preset_over_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text("[stage1]\nsteps = 5\nbatch_size = 7\n")
    modern = load_settings(["modern"]).stage1
    assert modern.steps != Settings().stage1.steps
    chosen = load_settings(["modern"], file, ["stage1.batch_size=9", "seed=3"])
    assert (chosen.stage1.steps, chosen.stage1.batch_size, chosen.seed) == (5, 9, 3)
    assert chosen.stage1.loss == modern.loss


def test_a_later_preset_wins_and_keeps_the_rest() -> None:
    both = load_settings(["modern", "toy"])
    assert both.flip is False
    assert both.stage1.loss == load_settings(["modern"]).stage1.loss


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_valid_and_differs_from_the_defaults_unless_it_says_so(name: str) -> None:
    text = resources.files("stackgan.presets").joinpath(f"{name}.toml").read_text("utf-8")
    assert (load_settings([name]) == Settings()) == ("nothing differs" in text)


@pytest.mark.parametrize(
    ("assignments", "sentence"),
    [
        (["stage1.step=5"], r"no setting 'stage1.step': did you mean 'steps'"),
        (["stag1.steps=5"], r"no setting 'stag1': did you mean 'stage1'"),
        (["stage1.steps=0"], r"stage1.steps is 0: input should be greater than or equal to 1"),
        (["stage1.steps=many"], r"stage1.steps is 'many'"),
        (["stage1.loss=wasserstein"], r"stage1.loss is 'wasserstein'"),
        (["stage1.steps"], r"--set takes key=value"),
        (["architecture.image_px=512"], r"architecture.image_px is 512"),
        (["stage1.pair_steps=3"], r"stage1 has no sketches"),
        (["stage1.sketch_noise=0.1"], r"stage1 has no sketches"),
        (["stage2.sketch_blur=2"], r"stage2.sketch_blur is 2: input should be less than or equal"),
        (["stage1.projected_taps=[16, 8]"], r"projected_taps are strides in ascending order"),
        (["stage1.projected_taps=[]"], r"projected_taps are strides in ascending order"),
        (["stage1.projected_taps=[3]"], r"stage1.projected_taps"),
        (
            ["stage1.wrong_pair=image"],
            r"wrong_pair=image gives no wrong captions for projected_text: set wrong_pair=caption",
        ),
        (["stage1.average=0.9"], r"average and average_half_life are both set: .* the other to 0"),
        (["captions_per_image=4"], r"captions_per_image averages captions, wordings are shown"),
    ],
)
def test_a_wrong_setting_is_one_sentence(assignments: list[str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        load_settings(["modern"], None, assignments)
    assert "\n" not in str(caught.value)


def test_an_unknown_preset_and_an_unreadable_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no preset 'moden': did you mean 'modern'"):
        load_settings(["moden"])
    with pytest.raises(InputError, match=r"nothing\.toml cannot be read"):
        load_settings([], tmp_path / "nothing.toml")
    (tmp_path / "bad.toml").write_text("steps = = 3")
    with pytest.raises(InputError, match=r"bad\.toml cannot be read"):
        load_settings([], tmp_path / "bad.toml")


def test_values_may_be_lists_and_words() -> None:
    chosen = load_settings(
        ["modern"], None, ["stage1.augment=['cutout']", "stage1.loss=hinge", "flip=false"]
    )
    assert chosen.stage1.augment == ("cutout",)
    assert (chosen.stage1.loss, chosen.flip) == ("hinge", False)


def test_settings_survive_json() -> None:
    settings = load_settings(["modern", "toy"])
    assert Settings.model_validate(settings.model_dump(mode="json")) == settings


def test_a_preset_stands_on_those_it_extends() -> None:
    base, own = load_settings(["authors-pt"]), load_settings(["authors-pt-coco"])
    assert own.stage2.frozen_statistics == base.stage2.frozen_statistics == "drift"
    assert (base.stage1.batch_size, own.stage1.batch_size) == (64, 128)
    assert (base.stage2.batch_size, own.stage2.batch_size) == (64, 40)
    assert own.architecture.stage1_generator_width == 192


# The paper and the authors' two codes, point by point: (paper, TF, PT).
TABLE = {
    "stage1.loss": ("minimax", "logistic", "sigmoid"),
    "stage2.loss": ("minimax", "logistic", "sigmoid"),
    "stage2.heads": ("apart", "apart", "together"),
    "architecture.unconditional": (False, False, True),
    "architecture.stage1_unconditional": (None, None, False),
    "architecture.unconditional_head": ("joint", "joint", "score"),
    "stage1.wrong_pair": ("caption", "image", "shifted"),
    "stage2.wrong_pair": ("caption", "image", "shifted"),
    "stage1.kl_weight": (1.0, 2.0, 2.0),
    "stage1.kl_reduction": ("sum", "mean", "mean"),
    "stage2.kl_weight": (1.0, 2.0, 2.0),
    "stage2.kl_reduction": ("sum", "mean", "mean"),
    "architecture.conditioning": ("linear", "leaky_relu", "relu"),
    "architecture.eps": ("normal", "truncated", "normal"),
    "captions_per_image": (1, 4, 1),
    "architecture.discriminator_text": ("linear", "leaky_relu", "mean"),
    "architecture.joint_kernel": (1, 1, 3),
    "architecture.stage1_generator": ("plain", "bottleneck", "plain"),
    "architecture.stage1_discriminator": ("plain", "bottleneck", "plain"),
    "architecture.stage2_discriminator": ("plain", "bottleneck", "plain"),
    "architecture.residual_blocks": (None, 4, 4),
    "architecture.stage1_generator_width": (128, 128, 128),
    "architecture.stage1_discriminator_width": (64, 64, 64),
    "architecture.stage2_generator_width": (128, 128, 128),
    "architecture.stage2_discriminator_width": (64, 64, 64),
    "stage1.epochs": (600, 600, 120),
    "stage2.epochs": (600, 600, 100),
    "stage1.halve_every_epochs": (100, 50, 20),
    "stage2.halve_every_epochs": (100, 100, 20),
    "stage1.betas": ((0.5, 0.999),) * 3,
    "initialisation": ("normal", "truncated", "normal"),
    "stage2.frozen_statistics": ("running", "batch", "drift"),
    "architecture.biases": ("first", "none", "score"),
    "stage1.fakes": ("reused", "redrawn", "reused"),
    "stage2.fakes": ("reused", "redrawn", "reused"),
    "fit": ("box", "box_authors", "box_authors"),
    "resize": ("bicubic", "through_304", "bilinear"),
    "stage2.finetune_stage1": (0.0, 0.0, 0.0),
    "stage1.batch_size": (64, 64, 64),
    "stage2.batch_size": (64, 64, 64),
    "stage1.generator_lr": (2e-4,) * 3,
    "stage2.discriminator_lr": (2e-4,) * 3,
}


@pytest.mark.parametrize("setting", TABLE)
def test_every_row_of_the_table_is_a_setting_and_every_column_a_preset(setting: str) -> None:
    found = []
    for preset in ("paper", "authors-tf", "authors-pt"):
        value: object = load_settings([preset])
        for name in setting.split("."):
            value = getattr(value, name)
        found.append(value)
    assert tuple(found) == TABLE[setting]


ABLATIONS = {
    "ablation-stage1": (1, 64, True, True),
    "ablation-stage1-no-ca": (1, 64, False, True),
    "ablation-one-stage-256": (1, 256, True, True),
    "ablation-one-stage-256-no-ca": (1, 256, False, True),
    "ablation-stackgan-128": (2, 128, True, True),
    "ablation-stackgan-128-no-ca": (2, 128, False, True),
    "ablation-stackgan-128-text-once": (2, 128, True, False),
    "ablation-stackgan-256": (2, 256, True, True),
    "ablation-stackgan-256-no-ca": (2, 256, False, True),
    "ablation-stackgan-256-text-once": (2, 256, True, False),
}


@pytest.mark.parametrize("base", ["paper", "authors-tf"])
@pytest.mark.parametrize("name", ABLATIONS)
def test_every_row_of_the_ablation_is_a_preset_over_any_other(name: str, base: str) -> None:
    a = load_settings([base, name]).architecture
    side = a.stage1_px if a.stages == 1 else a.image_px
    assert (a.stages, side, a.conditioning_augmentation, a.stage2_text) == ABLATIONS[name]
    assert a.eps == load_settings([base]).architecture.eps
    assert a.stages == 1 or a.residual_blocks == {128: 2, 256: 4}[side]


def test_the_list_of_ablations_is_whole() -> None:
    assert set(ABLATIONS) == {name for name in preset_names() if name.startswith("ablation-")}


@pytest.mark.parametrize(
    ("assignments", "sentence"),
    [
        (["architecture.stage1_px=256"], "a model of one stage: set architecture.stages=1"),
        (
            ["architecture.stage1_generator=bottleneck", "architecture.modulated=true"],
            "neither modulated nor of 256",
        ),
        (
            ["architecture.stage2_discriminator=bottleneck",
             "architecture.stage2_normalisation=spectral"],
            "a bottleneck discriminator needs architecture.normalisation=batch",
        ),
        (
            ["architecture.discriminator_text=mean", "architecture.stage2_text=false"],
            "without stage2_text there is no mean",
        ),
        (["stage1.finetune_stage1=0.1"], "stage1 has no sketches"),
        (["stage1.frozen_statistics=drift"], "frozen_statistics is stage2's"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_together_are_refused(
    assignments: list[str], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        load_settings([], None, assignments)


def test_an_older_configuration_without_the_newer_settings_means_what_it_meant() -> None:
    old = Architecture.model_validate({"embedding_dim": 24, "conditioning": "bounded"})
    assert (old.stages, old.stage1_px, old.eps, old.stage2_text) == (2, 64, "normal", True)
    assert (old.discriminator_text, old.joint_kernel, old.biases) == ("leaky_relu", 1, "first")
    assert (old.arithmetic, old.conditioning_augmentation) == ("fast", True)
    stage = StageSettings.model_validate({"steps": 7})
    assert (stage.epochs, stage.heads, stage.wrong_pair) == (None, "apart", "caption")
    assert (stage.fakes, stage.kl_reduction, stage.frozen_statistics) == (
        "reused", "sum", "running"
    )  # fmt: skip


def test_the_length_that_is_given_last_counts() -> None:
    assert load_settings(["paper", "toy"]).stage1.epochs is None
    assert load_settings(["paper"], None, ["stage1.steps=5"]).stage1.epochs is None
    assert load_settings(["paper"], None, ["stage1.steps=5"]).stage2.epochs == 600
    assert load_settings(["toy", "paper"]).stage1.epochs == 600


def test_what_does_not_act_is_not_refused() -> None:
    shifted = load_settings(["modern"], None, ["stage1.wrong_pair=shifted",
                                               "stage1.projected_wrong_weight=0"])  # fmt: skip
    assert shifted.stage1.projected_text
    load_settings(["modern"], None, ["stage1.wrong_pair=image", "stage1.projected_weight=0"])
    own = load_settings(["modern"], None, ["stage1.average=0.9", "stage1.average_half_life=0"])
    assert own.stage1.averages and own.stage2.averages


def test_there_is_an_average_where_either_setting_asks() -> None:
    assert not StageSettings().averages
    assert StageSettings(average=0.9).averages and StageSettings(average_half_life=10).averages


def test_pictures_no_larger_than_the_crops_are_seen_whole() -> None:
    crops = [
        Architecture(crop_px=crop, image_px=side).crops_px  # type: ignore[arg-type]
        for crop, side in ((128, 256), (128, 128), (64, 128), (0, 256))
    ]
    assert crops == [128, 0, 64, 0]
