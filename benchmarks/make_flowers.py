"""Put the shipped model `flowers` together from its two runs and its measured scores.

    python benchmarks/make_flowers.py --stage1 RUN1 --stage2 RUN2 --out src/stackgan/shipped/flowers

Stage-I and its discriminator are RUN1's, Stage-II and its discriminator RUN2's; both runs must have
the same text encoder. `--scores` takes what `pictures.py --json` wrote for the same two runs.
Everything is stored in bfloat16; the card is flowers_card.md.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from stackgan.errors import InputError
from stackgan.hub import load_model, save_model

CARD = Path(__file__).with_name("flowers_card.md")


def main() -> None:
    """Write the model folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stage1", type=Path, required=True, help="run of Stage-I")
    parser.add_argument("--stage2", type=Path, required=True, help="run of Stage-II")
    parser.add_argument("--scores", type=Path, nargs="*", default=[], help="measured figures")
    parser.add_argument("--truncation", type=float, help="what it is sampled with by default")
    parser.add_argument("--note", default="", help="a sentence for the training record")
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    options = parser.parse_args()
    first, second = load_model(options.stage1), load_model(options.stage2)
    if first.encoder.sha256 != second.encoder.sha256:
        raise InputError("the two runs have different text encoders")
    if second.stage2 is None:
        raise InputError(f"{options.stage2} holds no Stage-II")
    scores: dict[str, Any] = {}
    for file in options.scores:
        scores[file.stem] = json.loads(file.read_text(encoding="utf-8"))
    card = CARD.read_text(encoding="utf-8")
    folder = save_model(
        options.out,
        architecture=second.architecture.model_dump(mode="json"),
        stage1=first.stage1,
        stage2=second.stage2,
        discriminator=second.discriminator(2),
        stage1_discriminator=first.discriminator(1),
        projected=second.projected_weights(2),
        stage1_projected=first.projected_weights(1),
        encoder=first.encoder,
        training={
            "stage1": first.config["training"],
            "stage2": second.config["training"],
            "weights": "running averages, batch normalisation statistics included",
            "note": options.note,
        },
        scores=scores,
        truncation=options.truncation,
        card=card,
        name="flowers",
    )
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{folder}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
