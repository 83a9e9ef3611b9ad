"""Write docs/paper.md: what the paper says, the function that does it, and where we differ.

    python docs/make_paper_md.py

The sentences of paper.toml are written by hand, their functions are checked to exist. The rest is
collected from the ``Paper:`` and ``Differs:`` lines of the docstrings and from the presets. A test
fails where docs/paper.md is not what this program writes.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "stackgan"
LAYERS = (
    "config",
    "text",
    "fast",
    "networks",
    "inference",
    "systems",
    "data",
    "joint",
    "pipeline",
    "hub",
    "training",
    "evaluation",
    "cli",
)

# The paper and the authors' two codes: the point -> the settings that decide it.
ROWS: list[tuple[str, tuple[str, ...]]] = [
    ("G's loss", ("stage1.loss", "stage2.loss")),
    ("D's loss", ("stage2.heads", "architecture.unconditional", "architecture.stage1_unconditional",
                  "architecture.unconditional_head")),
    ("wrong pair", ("stage1.wrong_pair", "stage2.wrong_pair")),
    ("KL", ("stage1.kl_weight", "stage1.kl_reduction", "stage2.kl_weight", "stage2.kl_reduction")),
    ("CA layer", ("architecture.conditioning",)),
    ("eps", ("architecture.eps",)),
    ("captions per image", ("captions_per_image",)),
    ("D's text", ("architecture.discriminator_text", "architecture.joint_kernel")),
    ("Stage-I's G", ("architecture.stage1_generator",)),
    ("Stage-I's D", ("architecture.stage1_discriminator",)),
    ("Stage-II's residual blocks", ("architecture.residual_blocks",)),
    ("Stage-II's D", ("architecture.stage2_discriminator",)),
    ("widths", ("architecture.stage1_generator_width", "architecture.stage1_discriminator_width",
                "architecture.stage2_generator_width", "architecture.stage2_discriminator_width")),
    ("length", ("stage1.epochs", "stage2.epochs")),
    ("rates halved, epochs", ("stage1.halve_every_epochs", "stage2.halve_every_epochs")),
    ("Adam", ("stage1.betas", "stage2.betas", "stage1.generator_lr", "stage1.discriminator_lr")),
    ("first weights", ("initialisation",)),
    ("\"fixed\" Stage-I", ("stage2.frozen_statistics",)),
    ("biases of convolutions", ("architecture.biases",)),
    ("G's step", ("stage1.fakes", "stage2.fakes")),
    ("photograph", ("fit", "resize")),
    ("Stage-I tuned along", ("stage2.finetune_stage1",)),
    ("batch", ("stage1.batch_size", "stage2.batch_size")),
    ("arithmetic (ours)", ("architecture.arithmetic",)),
]  # fmt: skip
COLUMNS = ("paper", "authors-tf", "authors-pt", "authors-pt-coco")


class Line(NamedTuple):
    """One ``Paper:`` or ``Differs:`` line: the file, the thing it documents, what it says."""

    file: str
    thing: str
    kind: str
    text: str


def docstrings(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Yield (name, docstring) of the module, its classes and functions, and of settings' fields."""

    def inside(node: ast.AST, name: str) -> Iterator[tuple[str, str]]:
        body: list[ast.stmt] = getattr(node, "body", [])
        for place, child in enumerate(body):
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                if not isinstance(child.value.value, str):
                    continue
                before = body[place - 1] if place else None
                target = getattr(before, "target", None)
                field = target.id if isinstance(target, ast.Name) else None
                yield ".".join(filter(None, (name, field))), child.value.value
            elif isinstance(child, ast.ClassDef | ast.FunctionDef):
                yield from inside(child, ".".join(filter(None, (name, child.name))))

    yield from inside(tree, "")


def citations(docstring: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, text): a Paper line's first sentence, a Differs line to its paragraph's end."""
    for paragraph in re.split(r"\n\s*\n", docstring):
        flat = " ".join(paragraph.split())
        parts = re.split(r"(\(?\b(?:Paper|Differs): )", flat)
        for mark, said in zip(parts[1::2], parts[2::2], strict=True):
            kind = mark.strip("(: ")
            if mark.startswith("("):
                said = said.split(")")[0]
            elif kind == "Paper":
                said = re.split(r"(?<=[^A-Z]\.) (?=[A-Z`])", said)[0]
            yield kind, said.strip().rstrip(".") + "."


def collect() -> list[Line]:
    """Return every line of the package, in the order of the layers, files and their lines."""
    files = sorted(SOURCE.rglob("*.py"), key=_rank)
    lines = []
    for file in files:
        name = file.relative_to(SOURCE).as_posix()
        for thing, text in docstrings(ast.parse(file.read_text("utf-8"))):
            lines += [Line(name, thing, kind, _plain(said)) for kind, said in citations(text)]
    return lines


def preset_lines(name: str) -> Iterator[tuple[str, str, str]]:
    """Yield (setting, value, comment) of a preset's file."""
    section = ""
    text = (SOURCE / "presets" / f"{name}.toml").read_text("utf-8")
    for line in text.splitlines():
        if found := re.fullmatch(r"\[(\w+)\]", line.strip()):
            section = found[1] + "."
        elif "=" in line and not line.lstrip().startswith("#"):
            key, _, rest = line.partition("=")
            value, _, comment = rest.partition("#")
            yield section + key.strip(), value.strip(), comment.strip()


def value_of(preset: str, setting: str) -> Any:
    """Return a preset's value of a setting: its own, that of a preset it extends, the default."""
    values = tomllib.loads((SOURCE / "presets" / f"{preset}.toml").read_text("utf-8"))
    found: Any = values
    for part in setting.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    if found is not None:
        return found
    for base in values.get("extends", []):
        return value_of(base, setting)
    return default(setting)


def default(setting: str) -> Any:
    """Return the default of a setting, read from config.py without importing it."""
    tree = ast.parse((SOURCE / "config.py").read_text("utf-8"))
    fields: dict[tuple[str, str], ast.AnnAssign] = {
        (owner.name, field.target.id): field
        for owner in tree.body
        if isinstance(owner, ast.ClassDef)
        for field in owner.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    }
    owner, (*sections, key) = "Settings", setting.split(".")
    for section in sections:
        owner = ast.unparse(fields[owner, section].annotation)
    value = fields[owner, key].value
    if isinstance(value, ast.Call):  # Field(default, ...)
        value = value.args[0]
    return None if value is None else ast.literal_eval(value)


def paper_md() -> str:
    """Return the text of docs/paper.md."""
    lines = collect()
    text = [
        "# The paper and the code",
        "",
        "Written by `python docs/make_paper_md.py`: change the docstrings, not this file.",
        "",
        "StackGAN is Zhang et al., ICCV 2017 ([arXiv 1612.03242](https://arxiv.org/abs/1612.03242)).",
        "",
        "## What the paper says, and the function that does it",
        "",
        "| paper | function |",
        "|---|---|",
    ]
    system = tomllib.loads((ROOT / "docs" / "paper.toml").read_text("utf-8"))
    for said in system["sentence"]:
        _require(said["file"], said["functions"])
        names = ", ".join(f"`{thing}`" for thing in said["functions"])
        text.append(f"| {_cell(said['paper'])} | {names} in {_link(said['file'])} |")
    text += [
        "",
        "## Where we differ, and why",
        "",
        "What a docstring names as ours. What is *not in the paper* acts only where a setting asks",
        "for it, and the preset `paper` asks for none of it.",
        "",
    ]
    for line in lines:
        if line.kind == "Differs":
            text.append(f"- {_place(line)}: {line.text}")
    text += _rows() + _ablations()
    text += [
        "",
        "## The preset `modern`, line by line",
        "",
        "| setting | paper | modern | why |",
        "|---|---|---|---|",
    ]
    for setting, value, comment in preset_lines("modern"):
        ours = tomllib.loads(f"value = {value}")["value"]
        cells = (f"`{setting}`", _value(value_of("paper", setting)), _value(ours), comment)
        text.append("| " + " | ".join(map(_cell, cells)) + " |")
    text += ["", "## Every place that cites a paper", "", "| where | source |", "|---|---|"]
    for line in lines:
        if line.kind == "Paper":
            text.append(f"| {_place(line)} | {_cell(line.text)} |")
    return "\n".join(text) + "\n"


def _rows() -> list[str]:
    text = [
        "",
        "## Where the paper and the authors' code differ: every row a setting",
        "",
        "`stackgan train --preset NAME`, then `--set` for anything between. What the",
        "paper leaves open is the default's. `stackgan inspect` and config.py tell every setting's",
        "values; how many images are sampled is `evaluate -n`.",
        "",
        "| point | setting | " + " | ".join(f"`{name}`" for name in COLUMNS) + " |",
        "|" + "---|" * (2 + len(COLUMNS)),
    ]
    for point, settings in ROWS:
        for place, setting in enumerate(settings):
            values = [_value(value_of(name, setting)) for name in COLUMNS]
            text.append("| " + " | ".join(["" if place else point, f"`{setting}`", *values]) + " |")
    for name in COLUMNS[1:3]:
        text += ["", f"What the lines of `{name}` are for:", ""]
        for setting, value, comment in preset_lines(name):
            if comment:
                text.append(f"- `{setting} = {value}`: {comment.removeprefix('... ')}")
    return text


def _ablations() -> list[str]:
    text = [
        "",
        "## The paper's ablation: every row a preset",
        "",
        "Given after another preset, such as `--preset paper --preset ablation-stage1-no-ca`.",
        "",
        "| preset | what, and the paper's Inception score |",
        "|---|---|",
    ]
    for file in sorted((SOURCE / "presets").glob("ablation-*.toml")):
        said = file.read_text("utf-8").splitlines()[0].removeprefix("# ").split(": ", 1)[1]
        text.append(f"| `{file.stem}` | {said} |")
    return text


def _require(file: str, things: list[str]) -> None:
    names = set()
    for node in ast.parse((SOURCE / file).read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{getattr(child, 'name', '')}" for child in node.body}
        names.add(getattr(node, "name", ""))
    for thing in things:
        if thing not in names:
            raise SystemExit(f"src/stackgan/{file} has no {thing}: correct docs/paper.toml")


def _rank(file: Path) -> tuple[int, str]:
    name = file.relative_to(SOURCE).as_posix()
    unit = name.split("/")[0].removesuffix(".py")
    return (LAYERS.index(unit) if unit in LAYERS else -1, name)


def _plain(text: str) -> str:
    """Turn the docstrings' markup into Markdown's."""
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", text)
    return text.replace("``", "`")


def _link(file: str) -> str:
    return f"[{file}](../src/stackgan/{file})"


def _place(line: Line) -> str:
    return f"`{line.thing}` in {_link(line.file)}" if line.thing else _link(line.file)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | None):
        return {None: "not set", True: "yes", False: "no"}[value]
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else f"{value:,}"


def _cell(text: str) -> str:
    return text.replace("||", "\u2016").replace("|", "\\|")


if __name__ == "__main__":
    (ROOT / "docs" / "paper.md").write_text(paper_md(), encoding="utf-8")
