"""Does a model hear what people type? A fixed list of a hundred captions, each by its own judge.

    python benchmarks/typed_prompts.py flowers --cache DIR --json OUT.json --sheet OUT.png
    python benchmarks/typed_prompts.py runs/mine --n-seeds 2 --stage 1     a quick look

Draws every caption of typed_prompts.toml with seeds 0 to 7 and tells, group by group:

colour     the share of pictures whose petals colour_judge.py calls by the colour named
species    the share whose species, by a classifier set on photographs (species.py), is one of
           those named: the likeliest of all classes (top-1), or among the five likeliest
denied     the share that shows the colour that the caption denies
changed    how far the pictures lie from those of "a flower" with the same seeds, mean levels of
           256; beside it how far those lie from each other
said       the share of captions about which ``model.remarks`` says that something is unknown or
           changes nothing: wanted for things that are no flowers of Oxford-102

The judges took part in no training. Ceilings are the same judges' on photographs (of species: on
such as set no judge). Without truncation, unless --truncation says a number or ``own``.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import colour_judge
import numpy as np
import species
import torch
from judging import Panel, progress, sentences
from photographs import pictures, resized
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

import stackgan
from stackgan import StackGAN
from stackgan.best_of import best_seeds
from stackgan.data.examples import read_lines
from stackgan.data.oxford102 import CLASS_LISTS
from stackgan.errors import InputError
from stackgan.remarks import readable, still

HERE = Path(__file__).resolve().parent
SHARED = HERE.parents[1] / "shared"
LIST = HERE / "typed_prompts.toml"
PLAIN = "a flower"
TOPS = (1, 5)
TILE_PX, LABEL_PX = 96, 230


@dataclass(frozen=True)
class Prompt:
    """One caption of the list, and what it should show."""

    group: str
    text: str
    colour: str | None = None
    species: tuple[int, ...] = ()
    denied: str | None = None
    stranger: bool = False


def read_prompts(file: Path = LIST) -> list[Prompt]:
    """Return the list, in its order.

    Raises:
        InputError: a caption twice, a colour the judge does not know, or no class of Oxford-102.
    """
    with file.open("rb") as opened:
        groups = tomllib.load(opened)
    found = [
        Prompt(group, **{**entry, "species": tuple(entry.get("species", ()))})
        for group, entries in groups.items()
        for entry in entries
    ]
    texts = [prompt.text for prompt in found]
    for prompt in found:
        unknown = {prompt.colour, prompt.denied} - {None, *colour_judge.COLOURS}
        if texts.count(prompt.text) > 1 or unknown or not set(prompt.species) <= set(range(1, 103)):
            raise InputError(f"{file}: {prompt} is there twice, or its colour or class is unknown")
    return found


@dataclass(frozen=True)
class How:
    """What a picture depends on beside caption and weights."""

    seeds: int
    stage: int | None
    truncation: float
    best_of: int


def draw(model: StackGAN, texts: Sequence[str], how: How) -> Tensor:
    """Return pictures of each caption, uint8 [captions, seeds, 3, H, W]."""
    seeds = [seed for _ in texts for seed in range(how.seeds)]
    captions = [text for text in texts for _ in range(how.seeds)]
    if how.best_of > 1:
        tried = [seed * how.best_of + k for seed in seeds for k in range(how.best_of)]
        shown = progress("choosing")
        seeds, _ = best_seeds(model, captions, tried, how.best_of, how.truncation, shown)
    drawn = model.generate_pixels(
        captions, seeds, how.stage, truncation=how.truncation, progress=progress("drawing")
    )
    return drawn.unflatten(0, (len(texts), how.seeds))


def said(model: StackGAN, text: str) -> bool:
    """Whether the model says that a word of the caption is unknown or that none changes it."""
    read = readable(model, text)
    return bool(read.unknown or still(model, {text: read}))


class Figures:
    """What the judges say of each caption's pictures."""

    def __init__(self, known: species.Known, panel: Panel) -> None:
        out = species.left_out(known.classes)
        places = [place for place, left in enumerate(out) if not left]
        self.panel = panel
        self.judge = species.fit(known.features[places], [known.classes[i] for i in places])
        self.colours = known.colour_ceiling()
        self.photographs: dict[int, list[list[int]]] = {each: [] for each in self.judge.classes}
        rest = [place for place, left in enumerate(out) if left]
        for place, ranked in zip(rest, self.judge.ranked(known.features[rest]), strict=True):
            self.photographs[known.classes[place]].append(ranked)

    def of(self, prompt: Prompt, pixels: Tensor, plain: Tensor) -> dict[str, Any]:
        """Return the figures of one caption's pictures [seeds, 3, H, W]."""
        levels = (pixels.float() - plain.float()).abs().mean()
        found: dict[str, Any] = {**asdict(prompt), "changed": float(levels)}
        if prompt.colour or prompt.denied:
            called = colour_judge.judge(pixels.permute(0, 2, 3, 1).numpy())
            found["called"] = called
            if prompt.colour:
                found["colour_right"] = float(np.mean([c == prompt.colour for c in called]))
                found["colour_ceiling"] = self.colours.get(prompt.colour)
            if prompt.denied:
                found["denied_seen"] = float(np.mean([c == prompt.denied for c in called]))
        if prompt.species:
            ranked = self.judge.ranked(self.panel.judged(species.NETWORK, pixels))
            real = [row for each in prompt.species for row in self.photographs.get(each, [])]
            found["likeliest"] = [row[0] for row in ranked]
            for top in TOPS:
                found[f"top{top}"] = species.right(ranked, prompt.species, top)
                found[f"top{top}_ceiling"] = species.right(real, prompt.species, top)
            there = set(prompt.species) & set(self.judge.classes)
            found["chance"] = len(there) / len(self.judge.classes)
        return found

    def ceiling(self) -> dict[str, Any]:
        """Return the judges' figures on photographs left out, all classes of equal weight."""
        top = {
            f"top{k}": float(
                np.mean([species.right(rows, [c], k) for c, rows in self.photographs.items()])
            )
            for k in TOPS
        }
        return {"classes": len(self.judge.classes), **top, "colours": self.colours}


COLUMNS = (
    "colour_right", "colour_ceiling", "top1", "top1_ceiling", "top5", "top5_ceiling", "chance",
    "denied_seen", "changed", "said",
)  # fmt: skip


def by_group(rows: Sequence[dict[str, Any]], trained: set[int]) -> dict[str, dict[str, float]]:
    """Return the mean of each figure over the captions that have it, group by group."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
        if row["species"]:
            seen = bool(set(row["species"]) & trained)
            groups.setdefault(f"any species, {'trained' if seen else 'held out'}", []).append(row)
        if row["colour"]:
            groups.setdefault("any colour", []).append(row)
        if row["stranger"]:
            groups.setdefault("any stranger", []).append(row)
    groups["all"] = list(rows)
    return {
        name: {
            "captions": len(chosen),
            **{
                column: float(np.mean(held))
                for column in COLUMNS
                if (held := [row[column] for row in chosen if row.get(column) is not None])
            },
        }
        for name, chosen in groups.items()
    }


def table(groups: dict[str, dict[str, float]]) -> str:
    """Return the groups as a table, ceilings in brackets."""
    lines = [
        f"{'':<26}{'captions':>9}{'colour':>12}{'top-1':>12}{'top-5':>12}{'denied':>8}"
        f"{'changed':>9}{'said':>7}"
    ]
    for name, row in groups.items():
        cells = [
            _share(row, "colour_right", "colour_ceiling"),
            _share(row, "top1", "top1_ceiling"),
            _share(row, "top5", "top5_ceiling"),
        ]
        lines.append(
            f"{name:<26}{row['captions']:>9}"
            + "".join(f"{cell:>12}" for cell in cells)
            + f"{_share(row, 'denied_seen'):>8}{row['changed']:>9.1f}{_share(row, 'said'):>7}"
        )
    return "\n".join(lines)


def sheet(texts: Sequence[str], pixels: Tensor, file: Path) -> None:
    """Write a labelled row of small pictures for each caption."""
    font = ImageFont.load_default(13)
    width = LABEL_PX + pixels.shape[1] * TILE_PX
    whole = Image.new("RGB", (width, len(texts) * TILE_PX), "white")
    pen = ImageDraw.Draw(whole)
    for row, text in enumerate(texts):
        pen.text((4, row * TILE_PX + TILE_PX // 2 - 8), text[:34], fill="black", font=font)
        for column, picture in enumerate(pictures(resized(pixels[row], TILE_PX))):
            whole.paste(picture, (LABEL_PX + column * TILE_PX, row * TILE_PX))
    file.parent.mkdir(parents=True, exist_ok=True)
    whole.save(file, "PNG", optimize=True)


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Draw and judge; write the sheet; return everything with its protocol."""
    panel = Panel([species.NETWORK], options.judges)
    prompts = read_prompts()
    model = StackGAN.from_pretrained(options.model)
    own = options.truncation == "own"
    truncation = model.truncated(None if own else float(options.truncation))
    how = How(options.n_seeds, options.stage, truncation, options.best_of)
    texts = [PLAIN, *(prompt.text for prompt in prompts)]
    pixels = draw(model, texts, how)
    if options.sheet:
        sheet(texts, pixels, options.sheet)
    known = species.read_known(options.data_root, panel, pixels.shape[-1], options.cache)
    figures, plain = Figures(known, panel), pixels[0]
    rows = []
    shown = progress("judging")
    for place, prompt in enumerate(prompts, start=1):
        row = figures.of(prompt, pixels[place], plain)
        rows.append(row | {"said": said(model, prompt.text), "remarks": model.remarks(prompt.text)})
        shown(place, len(prompts))
    lists = options.data_root / "oxford102" / CLASS_LISTS["train"]
    trained = {species.class_number(name) for name in read_lines(lists)}
    return {
        "model": options.model,
        "version": stackgan.__version__,
        "size_px": pixels.shape[-1],
        **asdict(how),
        "judges": panel.sha256(),
        "ceiling": figures.ceiling(),
        "another_seed": _apart(plain),
        "groups": by_group(rows, trained),
        "prompts": rows,
    }


def main() -> None:
    """Print the groups, and what the figures should be read beside."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("model", help="a shipped name, a model folder or a run folder")
    add("--n-seeds", type=int, default=8, help="pictures of each caption (default: 8)")
    add("--stage", type=int, choices=(1, 2), help="default: the model's last")
    add("--truncation", default="1.0", help="a number, or own: the model's (default: 1.0, none)")
    add("--best-of", type=int, default=1, help="keep the best of so many seeds (default: 1)")
    add("--each", action="store_true", help="print every caption too")
    add("--data-root", type=Path, default=SHARED / "data", help="the folder with oxford102/")
    add("--judges", type=Path, default=SHARED / "judges", help="the folder of the judges")
    add("--cache", type=Path, help="folder of what is known of the photographs")
    add("--json", type=Path, help="write everything, each caption's figures too")
    add("--sheet", type=Path, help="write a row of pictures for each caption")
    options = parser.parse_args()
    with sentences("typed_prompts.py"), torch.inference_mode():
        found = measured(options)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    if options.each:
        print(table({row["text"][:25]: {"captions": 1, **row} for row in found["prompts"]}), "\n")
    print(table(found["groups"]))
    ceiling = found["ceiling"]
    print(
        f"\nphotographs left out, {ceiling['classes']} classes: top-1 {ceiling['top1']:.0%}, top-5 "
        f"{ceiling['top5']:.0%}; 'a flower' with another seed: {found['another_seed']:.1f} levels"
    )


def _share(row: dict[str, Any], name: str, ceiling: str | None = None) -> str:
    if row.get(name) is None:
        return "-"
    best = "" if ceiling is None or row.get(ceiling) is None else f" ({row[ceiling]:.0%})"
    return f"{row[name]:.0%}{best}"


def _apart(plain: Tensor) -> float:
    """Mean levels between one seed's picture and the next one's."""
    return float((plain.float() - plain.float().roll(1, 0)).abs().mean())


if __name__ == "__main__":
    main()
