"""Does a text encoder tell held-out classes apart, and does it hear every word of a short caption?

    python benchmarks/encoder_retrieval.py flowers runs/mine/encoder --json OUT.json

For each encoder (a model, a run, or a folder of `stackgan encoder train`), on the photographs of
Oxford-102's held-out classes: the class found from a photograph among the classes' mean captions,
and from a caption among the classes' mean photographs (top-1 of ten; chance is 10 %), by the joint
embedding the encoder was trained in. Then cosines between captions as people type them: wordings
of one thing should lie together, and apart from "a flower".
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from stackgan.data import read_examples
from stackgan.encoders import find_encoder
from stackgan.errors import StackGANError
from stackgan.hub import load_model
from stackgan.joint import JointEmbedding
from stackgan.text.char_cnn_rnn import CharCnnRnn
from stackgan.training.joint import retrieval_accuracy

ALIKE = ["red flower", "a red flower", "flower with red petals"]
APART = "a flower"


def encoder_of(name: str) -> CharCnnRnn:
    """The encoder of a model or a run, or the one in a folder."""
    try:
        found = load_model(name).encoder
    except StackGANError:
        found = find_encoder(name)
    if not isinstance(found, CharCnnRnn):
        raise SystemExit(f"{name} has no char-CNN-RNN of this project's training")
    return found


def cosines(encoder: CharCnnRnn) -> dict[str, Any]:
    """Cosines of the wordings of one thing to each other, and to the caption that names none."""
    unit = F.normalize(encoder.encode([*ALIKE, APART]), dim=1)
    table = unit @ unit.T
    pairs = {
        f"{ALIKE[i]} / {ALIKE[j]}": float(table[i, j])
        for i in range(len(ALIKE))
        for j in range(i + 1, len(ALIKE))
    }
    other = {f"{line} / {APART}": float(table[i, -1]) for i, line in enumerate(ALIKE)}
    return {
        "alike": pairs,
        "least": min(pairs.values()),
        "apart": other,
        "most": max(other.values()),
    }


def retrieval(encoder: CharCnnRnn, root: Path) -> dict[str, float]:
    """Top-1 of the ten held-out classes: from photographs, and from captions."""
    examples = read_examples("oxford102", root, "test")
    joint = JointEmbedding(encoder)
    images = joint.of_photographs([example.image for example in examples], _progress)
    lines = [line for example in examples for line in example.captions]
    captions: Tensor = joint.of_captions(lines)
    by_image, by_caption = retrieval_accuracy(
        images,
        [str(example.class_name) for example in examples],
        captions,
        [str(example.class_name) for example in examples for _ in example.captions],
    )
    return {"from_photographs": by_image, "from_captions": by_caption, "photographs": len(examples)}


def _progress(done: int, total: int) -> None:
    end = "\n" if done == total else ""
    print(f"\r{done} of {total} photographs", end=end, file=sys.stderr, flush=True)


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("encoders", nargs="+")
    parser.add_argument("--data-root", type=Path, default=Path("../shared/data"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--cosines-only", action="store_true")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for name in wanted.encoders:
        encoder = encoder_of(name)
        found[name] = {"sha256": encoder.sha256, "cosines": cosines(encoder)}
        if not wanted.cosines_only:
            found[name]["held_out"] = retrieval(encoder, wanted.data_root / "oxford102")
    text = json.dumps(found, indent=2)
    print(text)
    if wanted.json:
        wanted.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
