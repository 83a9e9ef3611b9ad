"""What a call of the model returns: pictures that know their captions, as PNGs and as a grid."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from stackgan.files import whole_file

COLUMNS = 8
"""Pictures in a row of a grid before it wraps."""
GAP_PX = 4
FONT_PX = 14
LINE_PX = 18


@dataclass(frozen=True)
class Result:
    """Pictures, one for each (caption, seed), in the order asked for: caption by caption."""

    images: list[Image.Image]
    """Pictures of the last stage asked for."""
    sketches: list[Image.Image]
    """The Stage-I image of each picture, 64x64."""
    captions: list[str]
    seeds: list[int]
    model: str
    version: str
    truncation: float = 1.0
    best_of: int = 1
    """Of how many pictures each was kept."""

    def __len__(self) -> int:
        return len(self.images)

    def fields(self, index: int) -> dict[str, str]:
        """The text fields of one picture's PNG: caption, seed, model, version, truncation."""
        return {
            "caption": self.captions[index],
            "seed": str(self.seeds[index]),
            **self.common_fields(),
        }

    def common_fields(self) -> dict[str, str]:
        """The text fields that all pictures share."""
        return {
            "model": self.model,
            "version": self.version,
            "truncation": str(self.truncation),
            **({"best_of": str(self.best_of)} if self.best_of > 1 else {}),
        }

    def pictures(self, sketches: bool = False) -> list[Image.Image]:
        """The pictures; with ``sketches`` each has its Stage-I sketch, enlarged, on its left."""
        if not sketches:
            return self.images
        return [beside(s, p) for s, p in zip(self.sketches, self.images, strict=True)]

    def save(self, folder: Path | str, sketches: bool = False) -> list[Path]:
        """Write one PNG a picture, named by its caption's first words and its seed.

        The folder is created; a file appears whole or not at all. Returns the paths, in order.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / name for name in file_names(self.captions, self.seeds)]
        for index, picture in enumerate(self.pictures(sketches)):
            save_png(picture, paths[index], self.fields(index))
        return paths

    def save_grid(self, path: Path | str, label: bool = True, sketches: bool = False) -> Path:
        """Write :meth:`grid` as one PNG; its fields list every caption (a line each) and seed."""
        several = {
            "caption": "\n".join(dict.fromkeys(self.captions)),
            "seed": " ".join(str(seed) for seed in dict.fromkeys(self.seeds)),
            **self.common_fields(),
        }
        save_png(self.grid(label, sketches), Path(path), several)
        return Path(path)

    def grid(self, label: bool = True, sketches: bool = False) -> Image.Image:
        """All pictures on white: a block for each caption, up to eight in a row.

        ``label`` writes the caption over its block and the seed under each picture.
        """
        pictures = self.pictures(sketches)
        blocks = [[pictures[i] for i in block] for block in self._blocks()]
        seeds = [[self.seeds[i] for i in block] for block in self._blocks()]
        captions = [self.captions[block[0]] for block in self._blocks()]
        tile_w, tile_h = pictures[0].size
        columns = min(COLUMNS, max(len(block) for block in blocks))
        width = columns * (tile_w + GAP_PX) + GAP_PX
        font = _font()
        lines = [_wrap(text, font, width - 2 * GAP_PX) if label else [] for text in captions]
        row_h = tile_h + GAP_PX + (LINE_PX if label else 0)
        heights = [
            len(text) * LINE_PX + -(-len(block) // columns) * row_h
            for text, block in zip(lines, blocks, strict=True)
        ]
        sheet = Image.new("RGB", (width, sum(heights) + GAP_PX), "white")
        draw = ImageDraw.Draw(sheet)
        top = GAP_PX
        for block, numbers, text, height in zip(blocks, seeds, lines, heights, strict=True):
            for row, line in enumerate(text):
                draw.text((GAP_PX, top + row * LINE_PX), line, fill="black", font=font)
            for place, picture in enumerate(block):
                x = GAP_PX + place % columns * (tile_w + GAP_PX)
                y = top + len(text) * LINE_PX + place // columns * row_h
                sheet.paste(picture, (x, y))
                if label:
                    draw.text((x, y + tile_h), f"seed {numbers[place]}", fill="gray", font=font)
            top += height
        return sheet

    def row(self) -> Image.Image:
        """All pictures in one unlabelled row, however long."""
        width, height = self.images[0].size
        strip = Image.new("RGB", (len(self) * (width + GAP_PX) - GAP_PX, height), "white")
        for index, picture in enumerate(self.images):
            strip.paste(picture, (index * (width + GAP_PX), 0))
        return strip

    def _blocks(self) -> list[list[int]]:
        """Indices of neighbouring pictures with the same caption."""
        blocks: list[list[int]] = []
        for index, caption in enumerate(self.captions):
            if blocks and self.captions[blocks[-1][0]] == caption:
                blocks[-1].append(index)
            else:
                blocks.append([index])
        return blocks


def file_names(captions: Sequence[str], seeds: Sequence[int]) -> list[str]:
    """FIRST-WORDS-SEED.png for each picture; a name that would come twice gets -2, -3, ..."""
    taken: set[str] = set()
    names = []
    for caption, seed in zip(captions, seeds, strict=True):
        stem = f"{slug(caption)}-{seed}"
        name = next(name for name in _numbered(stem) if name not in taken)
        taken.add(name)
        names.append(name)
    return names


def slug(caption: str, words: int = 8, length: int = 60) -> str:
    """The first words of a caption as a file name: lower case, hyphens, letters and digits.

    ``length`` is in characters; of scripts with three or four bytes each it takes fewer, as a disk
    counts bytes.
    """
    found = re.findall(r"[^\W_]+", caption[:1000].lower())[:words]
    cut = "-".join(found)[:length].encode()[: 2 * length].decode(errors="ignore")
    return cut.rstrip("-") or "picture"


def beside(sketch: Image.Image, picture: Image.Image) -> Image.Image:
    """The sketch, enlarged pixel by pixel to the picture's height, left of the picture."""
    side = picture.height
    pair = Image.new("RGB", (side + GAP_PX + picture.width, side), "white")
    pair.paste(sketch.resize((side, side), Image.Resampling.NEAREST), (0, 0))
    pair.paste(picture, (side + GAP_PX, 0))
    return pair


def save_png(picture: Image.Image, path: Path, fields: dict[str, str]) -> None:
    """Write a PNG with text fields: a temporary file beside it, then a rename."""
    info = PngInfo()
    for key, value in fields.items():
        info.add_text(key, value)
    buffer = BytesIO()
    picture.save(buffer, "PNG", pnginfo=info)
    with whole_file(path) as part:
        part.write_bytes(buffer.getvalue())


def read_fields(path: Path) -> dict[str, str]:
    """The text fields of a PNG; empty where it has none."""
    with Image.open(path) as image:
        image.load()
        return {k: str(v) for k, v in getattr(image, "text", {}).items()}


def _numbered(stem: str) -> Iterator[str]:
    yield f"{stem}.png"
    number = 2
    while True:
        yield f"{stem}-{number}.png"
        number += 1


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(FONT_PX)


def _wrap(
    text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width_px: int
) -> list[str]:
    """Break ``text`` at spaces into at most three lines of ``width_px``, then an ellipsis."""
    lines = [""]
    for word in _pieces(text[:1000]):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width_px:
            lines.append(word)
        else:
            lines[-1] = longer
    if len(lines) > 3:
        lines = [*lines[:2], f"{lines[2]} ..."]
    return lines


def _pieces(text: str, length: int = 24) -> Iterator[str]:
    """The words of ``text``; a longer one, or a script without spaces, in pieces."""
    for word in text.split():
        yield from (word[start : start + length] for start in range(0, len(word), length))
