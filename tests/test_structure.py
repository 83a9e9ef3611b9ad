"""The counts of benchmarks/structure.py, on small packages whose counts are known."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = [{"ground", "floor"}, {"middle"}, {"roof"}, {"cli"}]
FLAT = {"ground", "floor"}


@pytest.fixture(scope="module")
def structure() -> ModuleType:
    where = ROOT / "benchmarks" / "structure.py"
    spec = importlib.util.spec_from_file_location("structure", where)
    assert spec is not None and spec.loader is not None
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    return program


@pytest.fixture
def package(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """``package({"ground": "..."})`` is the folder of a package ``pkg`` of these modules."""

    def write(texts: dict[str, str]) -> Path:
        source = tmp_path / "pkg"
        for name, text in {"__init__": "", **texts}.items():
            path = source / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        return source

    return write


def edges(structure: ModuleType, source: Path) -> set[tuple[str, str]]:
    found = structure.imports_of(structure.modules_of(source))
    return {(each.importer, each.imported) for each in found}


@pytest.mark.parametrize(
    "text",
    [
        "import pkg.ground",
        "from pkg import ground",
        "from pkg.ground import x",
        "from .ground import x",
        "from . import ground",
        "def f():\n    from pkg.ground import x",
        "async def f():\n    if 1:\n        import pkg.ground",
        "from importlib import import_module\ng = lambda: import_module('pkg.ground')",
    ],
)
def test_every_form_of_import_is_read(
    text: str, structure: ModuleType, package: Callable[..., Path]
) -> None:
    source = package({"middle": text, "ground": "x = 1\nimport os, json"})
    assert edges(structure, source) == {("pkg.middle", "pkg.ground")}
    (found,) = structure.imports_of(structure.modules_of(source))
    assert found.deferred == ("def f" in text or "lambda" in text) and not found.typing


def test_of_a_folder_its_init_is_a_module_and_relative_names_start_there(
    structure: ModuleType, package: Callable[..., Path]
) -> None:
    texts = {"middle/__init__": "from .part import y", "middle/part": "from ..ground import x"}
    source = package(texts | {"ground": "x = 1"})
    assert edges(structure, source) == {
        ("pkg.middle", "pkg.middle.part"),
        ("pkg.middle.part", "pkg.ground"),
    }


def up(structure: ModuleType, source: Path) -> list[str]:
    imports = structure.imports_of(structure.modules_of(source))
    return [f"{e.importer} {e.imported}" for e in structure.running_up(imports, LAYERS, FLAT)]


@pytest.mark.parametrize(
    ("module", "text", "count"),
    [
        ("ground", "from pkg.roof import x", 1),
        ("ground", "def f():\n    from pkg.roof import x", 1),
        ("ground", "from pkg import VERSION", 1),
        ("roof", "def f():\n    from pkg import VERSION", 1),
        ("roof", "from pkg.nowhere import x", 1),
        ("roof", "from pkg.ground import x", 0),
        ("ground", "from pkg.floor import x", 0),
        ("cli", "from pkg import VERSION", 0),
        ("roof/one", "from pkg.roof.two import x", 0),
        ("__main__", "from pkg.cli import x", 0),
    ],
)
def test_an_import_of_a_higher_layer_or_of_the_package_itself_runs_up(
    module: str, text: str, count: int, structure: ModuleType, package: Callable[..., Path]
) -> None:
    others = dict.fromkeys(("ground", "floor", "roof/__init__", "roof/two", "cli", "nowhere"), "")
    source = package(others | {"__init__": "VERSION = 1", module: text})
    assert len(up(structure, source)) == count


def test_parts_of_one_layer_that_do_not_share_it_run_up_beside_each_other(
    structure: ModuleType, package: Callable[..., Path]
) -> None:
    source = package({"ground": "import pkg.floor", "floor": ""})
    imports = structure.imports_of(structure.modules_of(source))
    assert structure.running_up(imports, LAYERS, set()) == imports


def test_circles_are_whole_and_types_alone_close_none(
    structure: ModuleType, package: Callable[..., Path]
) -> None:
    lazily = "def f():\n    from pkg import {}"
    texts = {
        "a": "from pkg import b",
        "b": "from pkg import c",
        "c": lazily.format("a"),
        "d": "from pkg import a, e",
        "e": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pkg import d\nelse:\n"
        "    from pkg import f",
        "f": "import pkg.e",
    }
    imports = structure.imports_of(structure.modules_of(package(texts)))
    assert structure.circles_of(imports) == [
        ["pkg.a", "pkg.b", "pkg.c"],
        ["pkg.e", "pkg.f"],
    ]
    every = [["pkg.a", "pkg.b", "pkg.c"], ["pkg.d", "pkg.e", "pkg.f"]]
    assert structure.circles_of(imports, types=True) == every


BODIES = '''
def whole(a: int, *b: int, c: int = 1, **d: int) -> None:
    """Two
    lines."""
    def inner(x):
        return x

class Thing:
    def method(self, a: int) -> int:
        return a

    @staticmethod
    def still(a) -> int:
        return a

    def without(self):
        pass

    def starred(self, *rest) -> None:
        pass
'''


def test_lines_and_annotations(structure: ModuleType, package: Callable[..., Path]) -> None:
    package({"ground": BODIES})
    found = structure.read_source(package({"roof": ""}), ROOT / "tests")
    assert found["not_annotated"] == [
        "pkg.ground.whole.inner",
        "pkg.ground.Thing.still",
        "pkg.ground.Thing.without",
        "pkg.ground.Thing.starred",
    ]
    assert found["functions"] == 6 and found["annotated"] == pytest.approx(2 / 6)
    assert found["longest_functions"] == {"pkg.ground.whole": 5}
    assert found["longest_files"] == {"ground.py": 20}


def test_what_is_above_a_limit_is_named_longest_first(structure: ModuleType) -> None:
    assert structure._most({"a": 61, "b": 60, "c": 90}, 60) == {"c": 90, "a": 61}
    assert structure._most({"a": 5, "b": 6}, 60) == {"b": 6}


@pytest.fixture
def running(package: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A package whose calls are known: roof -> middle -> ground by way of a library."""
    source = package(
        {
            "ground": "def key(x):\n    return -x\n",
            "floor": "class Unused:\n    size = [1]\n\n    def f(self):\n        pass\n",
            "middle": "from pkg import floor, ground\n\ndef order(xs):\n"
            "    return sorted(xs, key=ground.key)\n",
            "roof": "def step(xs):\n    from pkg.middle import order\n    return order(xs)\n\n\n"
            "def run(xs):\n    return [step(xs), len(xs), step(xs)]\n",
        }
    )
    monkeypatch.syspath_prepend(str(source.parent))
    yield source
    for name in [name for name in sys.modules if name.split(".")[0] == "pkg"]:
        del sys.modules[name]


def test_a_file_counts_where_a_function_of_it_is_entered_not_where_it_is_imported(
    running: Path, structure: ModuleType
) -> None:
    from pkg.roof import run  # type: ignore[import-not-found]

    (found,) = structure.entered(lambda: run([1, 2]), running)
    assert found == {"roof.py", "middle.py", "ground.py"}
    assert sys.getprofile() is None


def test_within_a_function_each_of_its_runs_is_counted_apart(
    running: Path, structure: ModuleType
) -> None:
    from pkg.roof import run

    whole = {"roof.py", "middle.py", "ground.py"}
    assert structure.entered(lambda: run([1, 2]), running, "step") == [whole, whole]
    inner = {"middle.py", "ground.py"}
    assert structure.entered(lambda: run([1]), running, "order") == [inner, inner]
    assert structure.entered(lambda: run([1]), running, "absent") == []


def test_the_package_is_counted_as_it_lies_here(structure: ModuleType) -> None:
    found = structure.read_source(ROOT / "src" / "stackgan", ROOT / "tests")
    assert found["annotated"] == 1.0, found["not_annotated"]
    assert found["functions"] > 1000
    text = structure.table(found)
    for title in ("imports that run back up", "circles of imports", "of the longest file"):
        assert title in text
