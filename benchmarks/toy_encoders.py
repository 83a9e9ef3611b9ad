"""The toy set by every kind of text encoder: one short training of Stage-I each, and its score.

    python benchmarks/toy_encoders.py --work /tmp/toy-encoders
    python benchmarks/toy_encoders.py --work /tmp/toy-encoders --kinds own,glove --steps 100

prints a table: the share of pictures that have the colour and the shape their caption names, by the
drawer's judge (benchmarks/toy.py), for captions of training combinations and of held-out ones.
``own`` is trained first, on the toy set, and ``precomputed`` is a file of its embeddings. Kinds
whose package is not installed are named and left out. The published char-CNN-RNNs are not in a
package: import one, and add it with --encoder NAME=DIR.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

from toy import named, share_right

from stackgan import StackGAN
from stackgan.cli.main import run as stackgan
from stackgan.data import read_examples
from stackgan.errors import InputError
from stackgan.text import load_encoder
from stackgan.text.precomputed import embed_to_file

JUDGED = 300


def call(*words: object) -> None:
    """Run one command line; stop where it fails."""
    if stackgan([str(word) for word in words]):
        raise SystemExit(1)


def own(work: Path, steps: int) -> Path:
    """A char-CNN-RNN trained on the toy set with a small image network."""
    folder = work / "own-encoder"
    if not (folder / "text_encoder.safetensors").is_file():
        data = ["--data", "toy", "--root", work / "data"]
        more = ["--image-network", "small", "--steps", steps]
        call("encoder", "train", *data, "--out", folder, *more)
    return folder


def precomputed(work: Path, steps: int) -> Path:
    """A file with the embeddings of every toy caption, by the encoder ``own``."""
    table = work / "precomputed.npz"
    if not table.is_file():
        examples = read_examples("toy", work / "data", "all")
        captions = dict.fromkeys(text for example in examples for text in example.captions)
        embed_to_file(load_encoder(own(work, steps)), list(captions), table)
    return table


KINDS: dict[str, Callable[[Path, int], Path | str]] = {
    "own": own,
    "precomputed": precomputed,
    "minilm": lambda work, steps: "minilm",
    "glove": lambda work, steps: "glove",
}


def measure(encoder: Path | str, work: Path, run: Path, settings: list[str]) -> dict[str, object]:
    """Train Stage-I with ``encoder`` and judge it."""
    load_encoder(encoder)  # a missing package is said before the training
    started = time.monotonic()
    if not (run / "model").is_dir():
        data = ["--data", "toy", "--root", work / "data", "--run", run, "--stage", 1]
        more = [word for one in settings for word in ("--set", one)]
        call("train", *data, "--encoder", encoder, *more)
    model = StackGAN.from_pretrained(run)
    return {
        "encoder": model.encoder.name,
        "numbers": model.encoder.dim,
        "travels": model.loaded.config["encoder"]["file"] is not None,
        "minutes": round((time.monotonic() - started) / 60, 1),
        "training": share_right(model, named(work / "data", "train", JUDGED)),
        "held_out": share_right(model, named(work / "data", "test", JUDGED)),
    }


def main() -> None:
    """Train and judge every kind, print a table and one JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--work", type=Path, required=True, help="a folder to work in")
    parser.add_argument("--kinds", default=",".join(KINDS), help="of " + ", ".join(KINDS))
    parser.add_argument("--encoder", action="append", default=[], help="NAME=DIR, one more")
    parser.add_argument("--steps", type=int, default=1000, help="of Stage-I")
    parser.add_argument("--encoder-steps", type=int, default=1500, help="of the encoder `own`")
    parser.add_argument("--set", action="append", default=[], help="settings passed on to train")
    options = parser.parse_args()
    work: Path = options.work
    if not (work / "data").is_dir():
        call("data", "toy", "--root", work / "data")
    encoders: dict[str, Path | str] = {}
    for kind in filter(None, options.kinds.split(",")):
        encoders[kind] = KINDS[kind](work, options.encoder_steps)
    encoders |= dict(one.split("=", 1) for one in options.encoder)
    settings = [f"stage1.steps={options.steps}", *options.set]
    scores: dict[str, dict[str, object]] = {}
    for kind, encoder in encoders.items():
        try:
            scores[kind] = measure(encoder, work, work / f"run-{kind}", settings)
        except InputError as error:
            print(f"{kind}: left out: {error}")
    print("| encoder | numbers | training: colour, shape, both | held out: colour, shape, both |")
    print("|---|---|---|---|")
    for kind, score in scores.items():
        shares = (" ".join(f"{share:.2f}" for share in score[side].values())  # type: ignore[attr-defined]
                  for side in ("training", "held_out"))  # fmt: skip
        print(f"| {kind} | {score['numbers']} | {' | '.join(shares)} |")
    print(json.dumps({"steps": options.steps, "scores": scores}, indent=2))


if __name__ == "__main__":
    main()
