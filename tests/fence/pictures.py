"""Three captions of the shipped model: their pictures' bytes here, within two levels elsewhere."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from fence.machines import ANEW, RECORDED, kind, read, sha256, write
from PIL import Image

import stackgan
from stackgan import StackGAN, __version__

MODEL = "flowers"
SHIPPED = Path(stackgan.__file__).parent / "shipped" / MODEL
CAPTIONS = {
    "a red flower": 7,
    "this flower has white petals and a yellow center": 11,
    "a purple iris": 23,
}
"""Each with its seed."""
LEVELS = 2
DECISIVE = ("generator.safetensors", "text_encoder.safetensors")
"""The files of the model that a picture depends on."""
RECORD = "pictures.json"


def draw() -> list[bytes]:
    """The PNG of each caption as ``Result.save`` writes it, drawn in float32."""
    model = StackGAN.from_pretrained(MODEL, device="cpu", precision="fp32")
    drawn = []
    for caption, seed in CAPTIONS.items():
        with tempfile.TemporaryDirectory() as folder:
            (path,) = model(caption, seed=seed).save(folder)
            drawn.append(path.read_bytes())
    return drawn


def reference(place: int) -> Path:
    """Where the picture of caption number ``place`` is kept."""
    return RECORDED / f"picture-{place}.png"


def drawn_by() -> dict[str, Any]:
    """What the pictures were drawn by: the weights' digests, and the version that PNGs tell."""
    weights = {name: sha256((SHIPPED / name).read_bytes()) for name in DECISIVE}
    return {"version": __version__, "weights": weights, "captions": CAPTIONS}


def outdated(record: dict[str, Any]) -> str:
    """Why the record says nothing of what is shipped now; empty where it does."""
    for what, now in drawn_by().items():
        if record.get(what) != now:
            return (
                f"the recorded pictures of {MODEL!r} were drawn by other {what} than now "
                f"({record.get(what)}, now {now}): see that the change is meant, then {ANEW}"
            )
    return ""


def apart(one: bytes | Path, two: bytes | Path) -> int:
    """The largest difference between two pictures, in levels of 0..255."""
    pixels = []
    for each in (one, two):
        with tempfile.SpooledTemporaryFile() as file:
            file.write(each.read_bytes() if isinstance(each, Path) else each)
            with Image.open(file) as image:
                pixels.append(np.asarray(image.convert("RGB"), dtype=np.int16))
    return int(np.abs(pixels[0] - pixels[1]).max())


def record() -> str:
    """Keep the pictures as they are now; one sentence of what was kept.

    Other machines' digests stay where the pictures are those that were recorded.
    """
    drawn, before = draw(), read(RECORD)
    digests = [sha256(data) for data in drawn]
    known = dict(before.get("png", {}))
    same = not outdated(before) and known.get(kind(), digests) == digests
    same = same and all(apart(data, reference(i)) <= LEVELS for i, data in enumerate(drawn))
    if not same:
        known = {}
        RECORDED.mkdir(parents=True, exist_ok=True)
        for place, data in enumerate(drawn):
            reference(place).write_bytes(data)
    write(RECORD, drawn_by() | {"png": known | {kind(): digests}})
    what = "this machine's digests beside the others'" if same else "anew, and other machines' left"
    return f"pictures: {what}"
