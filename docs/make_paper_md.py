"""Write docs/paper.md: what the paper says, the function that does it, and where we differ.

    python docs/make_paper_md.py

``SYSTEM`` below is written by hand, its functions are checked to exist. The rest is collected from
the ``Paper:`` and ``Differs:`` lines of the docstrings and from the presets. A test fails where
docs/paper.md is not what this program writes.
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
LAYERS = ("config", "text", "models", "data", "pipeline", "hub", "training", "evaluation", "cli")

# What the paper says -> file and functions, in the paper's order.
SYSTEM: list[tuple[str, str, tuple[str, ...]]] = [
    (
        "A caption t goes through a pre-trained text encoder to an embedding phi_t",
        "text/char_cnn_rnn.py",
        ("CharCnnRnn.encode",),
    ),
    (
        "The encoder reads 201 of 70 characters, by convolutions and a recurrent net averaged over "
        "time, to 1024 numbers",
        "text/char_cnn_rnn.py",
        ("CharCnnRnn.forward", "Sizes"),
    ),
    (
        "The encoder is trained by the symmetric structured joint embedding loss, one pair from "
        "each of 40 classes in a mini-batch",
        "training/joint.py",
        ("structured_loss",),
    ),
    (
        "Conditioning Augmentation: c ~ N(mu(phi_t), Sigma(phi_t)), Sigma diagonal",
        "models/conditioning.py",
        ("ConditioningAugmentation.forward",),
    ),
    ("c = mu + sigma * eps, eps ~ N(0, I)", "models/conditioning.py", ("Gaussian.sample",)),
    (
        "KL(N(mu, Sigma) || N(0, I)), which the generator pays lambda times (`stage1.kl_weight`, "
        "`stage2.kl_weight`)",
        "models/conditioning.py",
        ("Gaussian.kl_to_standard",),
    ),
    (
        "Stage-I: [c0, z] -> fully connected -> 4x4 -> four up-sampling blocks -> 64x64",
        "models/stage1.py",
        ("Stage1Generator.forward",),
    ),
    (
        "Stage-II reads the sketch and the caption again, no z: sketch -> 16x16, joined with its "
        "own condition repeated over 16x16 -> residual blocks -> up-sampling blocks",
        "models/stage2.py",
        ("Stage2Generator.forward",),
    ),
    (
        "L_D = E[log D(I, phi_t)] + E[log(1 - D(G(z, c), phi_t))], both stages alike",
        "training/losses.py",
        ("discriminator_loss", "DiscriminatorLoss.total"),
    ),
    (
        "L_G = E[log(1 - D(G(z, c), phi_t))] + lambda KL, both stages alike",
        "training/losses.py",
        ("generator_loss",),
    ),
    (
        "A step: the discriminator's update, then the generator's",
        "training/steps.py",
        ("train_step",),
    ),
    (
        "Matching-aware: a real image with its caption is positive; a real image with a mismatched "
        "caption and a generated one with its own are negative",
        "data/batches.py",
        ("Batches.batch",),
    ),
    (
        "Discriminator: image -> down-sampling blocks -> 4x4; phi_t -> fully connected -> 128, "
        "repeated over 4x4; joined -> 1x1 convolution -> one node",
        "models/discriminators.py",
        ("Discriminator.features", "Discriminator.conditional"),
    ),
    (
        "Up-sampling block: nearest x2, 3x3 convolution, batch normalisation, ReLU",
        "models/blocks.py",
        ("UpConv.plain", "UpBlock"),
    ),
    (
        "Residual block: 3x3 convolutions, batch normalisation, ReLU",
        "models/blocks.py",
        ("ResidualBlock",),
    ),
    (
        "Down-sampling block: 4x4 stride 2, batch normalisation but in the first, LeakyReLU",
        "models/blocks.py",
        ("DownBlock",),
    ),
    (
        "Two residual blocks for 128x128, four for 256x256; more down blocks in Stage-II's "
        "discriminator",
        "models/build.py",
        ("build_stage2", "build_discriminator"),
    ),
    (
        "Ng = 128, Nz = 100, Mg = 16, Md = 4, Nd = 128, 64 and 256",
        "config.py",
        ("Architecture",),
    ),
    ("Adam, 2e-4, batches of 64", "config.py", ("StageSettings",)),
    ("The rates are halved every 100 epochs", "training/steps.py", ("learning_rate",)),
    (
        "Stage-I first with Stage-II fixed, then Stage-II with Stage-I fixed",
        "training/run.py",
        ("train",),
    ),
    ("Random crops of 64 from 76 (256 from 304)", "training/prepare.py", ("stored_px",)),
    (
        "Oxford-102: classes for training and for testing, none in both",
        "data/oxford102.py",
        ("read",),
    ),
    (
        "Sentence embeddings interpolated with z = 0",
        "pipeline.py",
        ("StackGAN.interpolate",),
    ),
]


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
    for said, file, things in SYSTEM:
        _require(file, things)
        names = ", ".join(f"`{thing}`" for thing in things)
        text.append(f"| {_cell(said)} | {names} in {_link(file)} |")
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
    text += [
        "",
        "## The preset `modern`, line by line",
        "",
        "| setting | paper | modern | why |",
        "|---|---|---|---|",
    ]
    for setting, value, comment in preset_lines("modern"):
        ours = tomllib.loads(f"value = {value}")["value"]
        cells = (f"`{setting}`", _value(default(setting)), _value(ours), comment)
        text.append("| " + " | ".join(map(_cell, cells)) + " |")
    text += ["", "## Every place that cites a paper", "", "| where | source |", "|---|---|"]
    for line in lines:
        if line.kind == "Paper":
            text.append(f"| {_place(line)} | {_cell(line.text)} |")
    return "\n".join(text) + "\n"


def _require(file: str, things: tuple[str, ...]) -> None:
    names = set()
    for node in ast.parse((SOURCE / file).read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{getattr(child, 'name', '')}" for child in node.body}
        names.add(getattr(node, "name", ""))
    for thing in things:
        if thing not in names:
            raise SystemExit(f"src/stackgan/{file} has no {thing}: correct SYSTEM in {__file__}")


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
