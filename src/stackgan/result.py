"""What a call of the model returns: pictures that know their captions, as PNGs and as a grid."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import count
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from stackgan.files import remove_left_overs, unfinished

COLUMNS = 8
"""Pictures in a row of a grid before it wraps."""
GAP_PX = 4
FONT_PX = 14
LINE_PX = 18


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        asked = ", ".join(repr(caption) for caption in list(dict.fromkeys(self.captions))[:3])
        more = ", ..." if len(set(self.captions)) > 3 else ""
        pictures = "1 picture" if len(self) == 1 else f"{len(self)} pictures"
        return f"<Result of {self.model}: {pictures} of {asked}{more}>"

    def _repr_png_(self) -> bytes:
        """The grid, which a notebook shows."""
        return as_png(self.grid(), {})

    @classmethod
    def join(cls, parts: Sequence[Result]) -> Result:
        """Several results of one model as one, in their order."""
        return replace(
            parts[0],
            images=[image for part in parts for image in part.images],
            sketches=[sketch for part in parts for sketch in part.sketches],
            captions=[caption for part in parts for caption in part.captions],
            seeds=[seed for part in parts for seed in part.seeds],
        )

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

        The folder is created; a file appears whole or not at all, and never in the place of
        another picture: see :class:`Album`. Returns the paths, in order.
        """
        return Album(folder).add(self, sketches)

    def save_grid(self, path: Path | str, label: bool = True, sketches: bool = False) -> Path:
        """Write :meth:`grid` as one PNG; its fields list every caption (a line each) and seed.

        Returns its path: another than ``path`` where that is another picture (:func:`save_png`).
        """
        several = {
            "caption": "\n".join(dict.fromkeys(self.captions)),
            "seed": " ".join(str(seed) for seed in dict.fromkeys(self.seeds)),
            **self.common_fields(),
        }
        return save_png(self.grid(label, sketches), Path(path), several)

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


class Album:
    """A folder that pictures are written into, as they are drawn.

    Each is FIRST-WORDS-SEED.png; where that name is another picture's, -2, -3, ... goes before the
    ending. So nothing that lies there is replaced, and a picture drawn again keeps its one file.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._next: dict[str, int] = {}
        """By stem, the first number that no picture of this album has."""

    def add(self, result: Result, sketches: bool = False) -> list[Path]:
        """Write the result's pictures, each whole; the paths, in order."""
        paths = []
        for index, picture in enumerate(result.pictures(sketches)):
            stem = f"{slug(result.captions[index])}-{result.seeds[index]}"
            data = as_png(picture, result.fields(index))
            path, number = _write_beside(self.folder / f"{stem}.png", data, self._next.get(stem, 1))
            self._next[stem] = number + 1
            paths.append(path)
        return paths


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


def save_png(picture: Image.Image, path: Path, fields: dict[str, str]) -> Path:
    """Write a PNG with text fields, whole or not at all, and return where.

    That is ``path``; or, where that is there and not the same picture, with -2, -3, ... before its
    ending.
    """
    return _write_beside(path, as_png(picture, fields))[0]


def as_png(picture: Image.Image, fields: dict[str, str]) -> bytes:
    """The bytes of a PNG with text fields."""
    info = PngInfo()
    for key, value in fields.items():
        info.add_text(key, value)
    buffer = BytesIO()
    picture.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def _write_beside(path: Path, data: bytes, first: int = 1) -> tuple[Path, int]:
    """Write ``data`` under the first free name from number ``first`` on; the name and its number.

    A file that holds ``data`` already is written again.
    """
    for number in count(first):
        place = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        free = _holds(place, data) or not os.path.lexists(place)
        if free and _write(place, data):
            return place, number
    raise AssertionError("the numbers ended")


def _holds(path: Path, data: bytes) -> bool:
    return path.is_file() and path.stat().st_size == len(data) and path.read_bytes() == data


def _write(path: Path, data: bytes) -> bool:
    """Write a file that is whole; False, and nothing changed, where another is there meanwhile."""
    with unfinished(path) as part:
        try:
            part.write_bytes(data)
            if os.path.lexists(path) or not _linked(part, path):
                os.replace(part, path)
        except FileExistsError:
            return False
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
    remove_left_overs(path)
    return True


def _linked(part: Path, path: Path) -> bool:
    """Give ``part`` the name ``path`` too; unlike a rename this never takes another file's place.

    False on a disk without hard links; FileExistsError where the name is taken.
    """
    try:
        os.link(part, path)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
        return False
    return True


def read_fields(path: Path) -> dict[str, str]:
    """The text fields of a PNG; empty where it has none."""
    with Image.open(path) as image:
        image.load()
        return {k: str(v) for k, v in getattr(image, "text", {}).items()}


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
