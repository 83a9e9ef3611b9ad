"""Settings: precedence, presets, and one sentence for each mistake."""

from importlib import resources
from pathlib import Path

import pytest

from stackgan.config import Settings, load_settings, preset_names
from stackgan.errors import InputError


def test_the_defaults_are_the_papers() -> None:
    settings = load_settings(["paper"])
    assert settings == Settings()
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
