"""How much of the package a reader opens, and how it hangs together: counts anyone can repeat.

    python benchmarks/structure.py              # a table; about a minute
    python benchmarks/structure.py --json
    python benchmarks/structure.py --no-trace   # what the source alone tells, in a second

**Files a reader opens** are traced, not judged: every file of the package of which a function is
entered while the thing happens, helpers for text and errors among them. Entered are functions,
methods, properties, lambdas and what libraries call back; not the bodies of modules and classes,
which run when they are imported. So a file counts no matter from where it is called, and moving its
functions into another one makes that longer, which is counted below.

* *From a caption to the picture*: ``model("a red flower")`` with the shipped ``flowers``, loaded,
  in float32. Loading it is counted beside, and both together.
* *From a batch to a step*: ``train_step``, from the batch handed in to the weights moved, at the
  first step of either stage with every part of the loss in play, the files of both stages together;
  for the preset ``paper``, of modern's widths, and for ``modern``.

What a fast form needs depends on the processor, so the counts may differ by a file or two between
machines; the JSON names the processor.

**Imports** are read from the source, those inside functions and ``import_module("stackgan...")``
among them. One *runs back up* where ``tests/test_layers.py`` has the imported part above or beside
the importing one, or where it takes a name from the package's own ``__init__``, which is above
all but the command line. A *circle* is a set of modules of which each reaches each other; imports
for types alone close none when the program runs, and their circles are counted apart.

**Lines** of a function are those from ``def`` to its end, docstring and all; nested functions count
by themselves too. **Annotated** is a function of which every argument but self and cls, and the
result, has a type.
"""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "stackgan"
FUNCTION_LINES, FILE_LINES = 60, 400
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Import(NamedTuple):
    """One module's import of another."""

    importer: str
    imported: str
    line: int
    deferred: bool
    """Inside a function."""
    typing: bool
    """Under ``if TYPE_CHECKING``: not there when the program runs."""


def modules_of(source: Path) -> dict[str, Path]:
    """The modules of the package in folder ``source`` by their dotted names."""
    found = {}
    for path in sorted(source.rglob("*.py")):
        parts = path.relative_to(source.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(modules: dict[str, Path]) -> list[Import]:
    """Every import of one of the modules by another."""
    found = []
    for name, path in modules.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        tree = ast.parse(path.read_text("utf-8"))
        for node, deferred, typing in _placed(tree):
            for other in _named(node, modules, package):
                if other != name:
                    found.append(Import(name, other, node.lineno, deferred, typing))
    return list(dict.fromkeys(found))


def _placed(
    node: ast.AST, deferred: bool = False, typing: bool = False
) -> Iterator[tuple[ast.stmt | ast.expr, bool, bool]]:
    """Every statement and expression: whether it is in a function, and whether it is for types."""
    for child in ast.iter_child_nodes(node):
        for_types = isinstance(node, ast.If) and child in node.body and _asks_types(node.test)
        inside = deferred or isinstance(node, Function | ast.Lambda)
        if isinstance(child, ast.stmt | ast.expr):
            yield child, inside, typing or for_types
        yield from _placed(child, inside, typing or for_types)


def _asks_types(test: ast.expr) -> bool:
    return getattr(test, "id", getattr(test, "attr", "")) == "TYPE_CHECKING"


def _named(node: ast.AST, modules: dict[str, Path], package: str) -> list[str]:
    """The modules that a statement imports; of ``from a import b`` a.b where that is a module."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*above, *([base] if base else [])])
        inner = [f"{base}.{alias.name}" for alias in node.names]
        names = [each if each in modules else base for each in inner]
    elif isinstance(node, ast.Call) and _called(node.func) == "import_module" and node.args:
        names = [str(getattr(node.args[0], "value", ""))]
    else:
        names = []
    return [name for name in names if name in modules]


def _called(function: ast.expr) -> str:
    return str(getattr(function, "id", getattr(function, "attr", "")))


def layers_of(tests: Path) -> tuple[list[set[str]], set[str]]:
    """The layers of ``tests/test_layers.py``, lowest first, and the parts that share theirs."""
    values: dict[str, Any] = {"__builtins__": {}}
    for node in ast.parse((tests / "test_layers.py").read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and _called(node.targets[0]) in ("LAYERS", "FLAT"):
            exec(compile(ast.Module([node], []), "test_layers.py", "exec"), values)
    return values["LAYERS"], values["FLAT"]


def running_up(imports: Sequence[Import], layers: list[set[str]], flat: set[str]) -> list[Import]:
    """The imports that the layers forbid, and those from the package's own ``__init__``.

    That is above all layers but the last, which uses the public names as any other program does.
    """
    level = {part: place for place, parts in enumerate(layers) for part in parts}
    level[""] = len(layers) - 1.5
    found = []
    for each in imports:
        own, other = (*each.importer.split("."), "")[1], (*each.imported.split("."), "")[1]
        if own in ("", "__main__") or own == other:
            continue
        beside = own in flat and other in flat and level.get(own) == level.get(other)
        lower = other in level and own in level and level[other] < level[own]
        if not (lower or beside):
            found.append(each)
    return found


def circles_of(imports: Sequence[Import], types: bool = False) -> list[list[str]]:
    """The sets of modules of which each reaches each other by imports, the largest first."""
    reached: dict[str, set[str]] = {}
    for each in imports:
        if types or not each.typing:
            reached.setdefault(each.importer, set()).add(each.imported)
            reached.setdefault(each.imported, set())
    for middle in reached:  # Warshall's closure
        for others in reached.values():
            if middle in others:
                others |= reached[middle]
    sets = {
        tuple(sorted(other for other in reached[name] if name in reached[other]))
        for name in reached
        if name in reached[name]
    }
    return sorted((list(each) for each in sets if len(each) > 1), key=lambda s: (-len(s), s))


def functions_of(modules: dict[str, Path]) -> Iterator[tuple[str, Function, bool]]:
    """Every function as "module.name", its tree, and whether it is a method."""
    for name, path in modules.items():
        yield from _functions(ast.parse(path.read_text("utf-8")), name)


def _functions(node: ast.AST, name: str) -> Iterator[tuple[str, Function, bool]]:
    for child in ast.iter_child_nodes(node):
        inner = f"{name}.{child.name}" if isinstance(child, Function | ast.ClassDef) else name
        if isinstance(child, Function):
            yield inner, child, isinstance(node, ast.ClassDef)
        yield from _functions(child, inner)


def is_annotated(function: Function, method: bool) -> bool:
    """Whether every argument but self and cls, and the result, has a type."""
    a = function.args
    places = [*a.posonlyargs, *a.args]
    static = any(_called(each) == "staticmethod" for each in function.decorator_list)
    asked = [*places[1 if method and not static else 0 :], *a.kwonlyargs, a.vararg, a.kwarg]
    typed = all(each.annotation is not None for each in asked if each is not None)
    return typed and function.returns is not None


def read_source(source: Path, tests: Path) -> dict[str, Any]:
    """What the source alone tells."""
    modules = modules_of(source)
    imports = imports_of(modules)
    functions = list(functions_of(modules))
    lines = {name: (f.end_lineno or f.lineno) - f.lineno + 1 for name, f, _ in functions}
    files = {
        path.relative_to(source).as_posix(): len(path.read_text("utf-8").splitlines())
        for path in modules.values()
    }
    bare = [name for name, function, method in functions if not is_annotated(function, method)]
    up = running_up(imports, *layers_of(tests))
    return {
        "imports_running_up": [f"{e.importer}:{e.line} imports {e.imported}" for e in up],
        "circles": circles_of(imports),
        "circles_with_types": circles_of(imports, types=True),
        "longest_functions": _most(lines, FUNCTION_LINES),
        "longest_files": _most(files, FILE_LINES),
        "functions": len(functions),
        "annotated": 1 - len(bare) / max(1, len(functions)),
        "not_annotated": bare,
    }


def _most(counts: dict[str, int], limit: int) -> dict[str, int]:
    """Those above the limit, longest first; the longest where none is."""
    ordered = dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))
    over = {name: count for name, count in ordered.items() if count > limit}
    return over or dict(list(ordered.items())[:1])


def entered(
    happen: Callable[[], object], source: Path, within: str | None = None
) -> list[set[str]]:
    """The files below ``source`` of which a function is entered while ``happen()`` runs.

    With ``within``, a function's name: while a function of that name runs, a set for each time.
    """
    seen: list[set[str]] = [] if within else [set()]
    inside: list[FrameType] = []
    below = f"{source}/"

    def told(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "return" and inside and frame is inside[-1]:
            inside.pop()
        elif event == "call" and is_function(code) and code.co_filename.startswith(below):
            if code.co_name == within and not inside:
                inside.append(frame)
                seen.append(set())
            if inside or not within:
                seen[-1].add(code.co_filename.removeprefix(below))

    threading.setprofile(told)
    sys.setprofile(told)
    try:
        happen()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    return seen


def is_function(code: CodeType) -> bool:
    """Whether it is a function's code, and not the body of a module or a class."""
    return bool(code.co_flags & inspect.CO_OPTIMIZED)


def trace_picture(source: Path) -> dict[str, list[str]]:
    """The files from a caption to the picture, those of loading the model, and both."""
    from stackgan import StackGAN

    made: list[StackGAN] = []

    def load() -> None:
        made.append(StackGAN.from_pretrained("flowers", device="cpu", precision="fp32"))

    (loading,) = entered(load, source)
    (drawing,) = entered(lambda: made[0]("a red flower"), source)
    return {
        "caption_to_picture": sorted(drawing),
        "loading": sorted(loading),
        "loading_and_picture": sorted(loading | drawing),
    }


def trace_step(source: Path) -> dict[str, list[str]]:
    """The files from a batch to a step, of either stage and of both, for two presets."""
    from stackgan.config import load_settings

    widths = load_settings(["modern"]).architecture
    narrow = [
        f"architecture.stage{n}_{player}_width={getattr(widths, f'stage{n}_{player}_width')}"
        for n in (1, 2)
        for player in ("generator", "discriminator")
    ]
    found = {}
    for preset, more in (("paper", narrow), ("modern", [])):
        first, second = _steps_of(source, preset, more)
        found[f"batch_to_step_{preset}"] = sorted(first | second)
        found[f"batch_to_step_{preset}_stage1"] = sorted(first)
        found[f"batch_to_step_{preset}_stage2"] = sorted(second)
    return found


def _steps_of(source: Path, preset: str, more: list[str]) -> list[set[str]]:
    """The files of the one step of each stage that a run of four toy pictures a batch takes."""
    import torch

    from stackgan.config import load_settings
    from stackgan.data.toy import draw
    from stackgan.text.char_cnn_rnn import CharCnnRnn, Sizes
    from stackgan.training.run import Plan, begin, train

    asked = [f"stage{n}.{key}" for n in (1, 2) for key in ("steps=1", "batch_size=4")]
    whole = ["stage2.pixel_steps=0", "stage2.pair_steps=0", "precision=fp32"]
    settings = load_settings([preset], None, [*asked, *whole, *more])
    with tempfile.TemporaryDirectory() as folder:
        run, encoder = Path(folder) / "run", Path(folder) / "text_encoder.safetensors"
        draw(Path(folder) / "toy", seed=0, count=36)
        torch.manual_seed(0)
        CharCnnRnn(Sizes(conv1=8, conv2=8, hidden=8, dim=16)).save(encoder)
        root = str(Path(folder) / "toy")
        plan = Plan(data="toy", root=root, encoder=str(encoder), settings=settings)
        begin(run, plan)
        return entered(lambda: train(run, plan), source, "train_step")


def table(found: dict[str, Any]) -> str:
    """The counts as text, with the names that a reader goes on with."""
    rows = []
    titles = {
        "caption_to_picture": "files from a caption to the picture",
        "loading_and_picture": "... loading the model included",
        "batch_to_step_paper": "files from a batch to a step of the preset paper",
        "batch_to_step_modern": "... and of modern",
        "imports_running_up": "imports that run back up",
        "circles": "circles of imports",
        "circles_with_types": "... with those for types alone",
    }
    for key, title in titles.items():
        if key in found:
            told = [", ".join(each) if isinstance(each, list) else each for each in found[key]]
            rows += [f"{len(told):>6}  {title}", *(f"{'':10}{each}" for each in told)]
    for key, title, limit in (
        ("longest_functions", "lines of the longest function", FUNCTION_LINES),
        ("longest_files", "lines of the longest file", FILE_LINES),
    ):
        counts = found[key]
        over = sum(count > limit for count in counts.values())
        rows.append(f"{max(counts.values()):>6}  {title}; {over} above {limit}")
        rows += [f"{count:>13} {name}" for name, count in counts.items()]
    rows.append(f"{100 * found['annotated']:5.1f}%  of {found['functions']} functions annotated")
    return "\n".join([*rows, *(f"{'':10}{name}" for name in found["not_annotated"])])


def main() -> int:
    """Count and print; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="counts and names as JSON")
    parser.add_argument("--no-trace", action="store_true", help="only what the source tells")
    options = parser.parse_args()
    source = ROOT / "src" / PACKAGE
    found = read_source(source, ROOT / "tests")
    if not options.no_trace:
        sys.path.insert(0, str(source.parent))
        from stackgan.machine import here

        found = trace_picture(source) | trace_step(source) | found | {"machine": here()}
    print(json.dumps(found, indent=1) if options.json else table(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
