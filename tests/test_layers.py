"""A module imports from the layers below its own, or from its own folder."""

import ast
from pathlib import Path

import pytest

import stackgan

SOURCE = Path(__file__).parents[1] / "src" / "stackgan"
LAYERS = [
    {
        "version",
        "errors",
        "files",
        "optional",
        "tensors",
        "safe_pickle",
        "memory",
        "plain_text",
        "nested",
    }
    | {"machine", "precision", "threads", "devices"},
    {"config", "presets"},
    {"text", "data", "fast"},
    {"networks"},
    {"inference"},
    {"systems"},
    {
        "result",
        "pipeline",
        "arguments",
        "drawn",
        "model_folder",
        "encoders",
        "hub",
        "remarks",
        "pil",
        "joint",
        "best_of",
    },
    {"training", "legacy"},
    {"evaluation"},
    {"web"},
    {"cli"},
]
TOP = {"__init__", "__main__"}  # the public names and `python -m`: above everything
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
FLAT = LAYERS[0] | LAYERS[6]  # may import one another
HEAVY = {"torch", "rich", "lightning", "lightning_fabric", "pydantic", "numpy", "PIL"}
FILES = sorted(SOURCE.rglob("*.py"))


def unit(path):
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return parts[0]


def imported_units(tree):
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [node.module]
            if node.module == "stackgan":
                names = [f"stackgan.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "stackgan" and len(parts) > 1 and parts[1] != "__version__":
                yield stackgan._HOMES.get(parts[1], parts[1])


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_downward(path):
    own = unit(path)
    if own in TOP:
        return
    assert own in LEVEL, f"{own} is in no layer: add it to CONTRIBUTING.md's order and to this test"
    for other in imported_units(ast.parse(path.read_text("utf-8"))):
        assert other in LEVEL, f"{path.name} imports stackgan.{other}, which is in no layer"
        same = own == other or (LEVEL[own] == LEVEL[other] and own in FLAT)
        assert LEVEL[other] < LEVEL[own] or same, f"{own} imports {other}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_a_file_does_one_thing(path):
    text = path.read_text("utf-8")
    assert len(text.splitlines()) < 450
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno
            assert length <= 60, f"{node.name} has {length} lines"
    assert path.name != "utils.py"


@pytest.mark.parametrize("path", sorted((SOURCE / "cli").glob("*.py")), ids=lambda p: p.name)
def test_the_command_line_imports_nothing_heavy_at_its_top(path):
    tree = ast.parse(path.read_text("utf-8"))
    for node in tree.body:  # imports inside functions and under TYPE_CHECKING are not in the body
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert not {name.split(".")[0] for name in names} & HEAVY
        inner = {name for name in names if name.startswith("stackgan.")}
        light = (
            "stackgan.cli",
            "stackgan.version",
            "stackgan.errors",
            "stackgan.memory",
            "stackgan.threads",
        )
        assert all(name.startswith(light) for name in inner), inner


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_module_asserts_and_only_the_command_line_prints(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        assert not isinstance(node, ast.Assert), f"line {node.lineno} asserts"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print" or "cli" in path.parts, f"line {node.lineno} prints"
