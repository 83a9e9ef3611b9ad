"""What a run writes while it trains: the log, sample sheets, TensorBoard, and its warnings."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stackgan.errors import RunFailed
from stackgan.files import whole_file
from stackgan.optional import NotUsable, load_optional
from stackgan.tensors import Pixels

COLLAPSED_DIVERSITY = 4.0
"""Root mean square difference in levels under which the pictures of one caption are one picture."""


class Recorder:
    """The folder of one stage's training: ``log.jsonl``, ``sheet-STEP.png``, TensorBoard events.

    Every line of the log is a function of the run's settings and data except the fields
    ``seconds`` and ``time``. ``warn`` gets one sentence, once for each kind of trouble; with
    ``tell_board`` also where TensorBoard is installed and of no use.
    """

    def __init__(
        self,
        folder: Path,
        warn: Callable[[str], None],
        resumed_at: int | None,
        *,
        tell_board: bool = True,
    ) -> None:
        self.folder = folder
        self.log = folder / "log.jsonl"
        self._warn = warn
        self._warned: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)
        if resumed_at is None:
            self.log.unlink(missing_ok=True)
        elif self.log.exists():
            _keep_until(self.log, resumed_at)
        self._board = _tensorboard(folder, resumed_at, warn if tell_board else lambda _: None)

    def line(self, step: int, values: dict[str, Any]) -> None:
        """Append one line to the log; RunFailed where the disk is full."""
        text = json.dumps({"step": step, **values}) + "\n"
        try:
            with self.log.open("a", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise RunFailed(f"{self.log} could not be written: {error.strerror}") from None
        for name, value in values.items():
            if isinstance(value, float) and name not in ("seconds", "time"):
                self._show("add_scalar", name, value, step)
        self._watch_answers(values)

    def sheet(self, step: int, pixels: Pixels, columns: int, diversity: float) -> None:
        """Write the sheet of fixed captions, one row a caption, and look for a collapse."""
        grid = as_grid(pixels, columns)
        path = self.folder / f"sheet-{step:06d}.png"
        try:
            with whole_file(path) as part:
                Image.fromarray(grid).save(part, format="PNG")
        except OSError as error:
            raise RunFailed(f"{path} could not be written: {error}") from None
        self._show("add_image", "sheet", grid, step, dataformats="HWC")
        self.line(step, {"diversity": diversity})
        if diversity < COLLAPSED_DIVERSITY:
            self._once(
                "diversity",
                f"the run may be collapsing: at step {step} the pictures of one caption differ by "
                f"{diversity:.1f} levels of 255; look at {path.name}, and if it stays so, begin "
                "anew with another seed, a lower generator_lr or more r1_weight",
            )

    def close(self) -> None:
        """Finish the event file."""
        self._show("close")

    def _show(self, verb: str, *what: Any, **how: Any) -> None:
        """Let TensorBoard do something; where it cannot, it is told once and left out from then."""
        if self._board is None:
            return
        try:
            getattr(self._board, verb)(*what, **how)
        except Exception as error:
            self._board = None
            self._warn(_without_board(f"failed ({_reason(error)})"))

    def _watch_answers(self, values: dict[str, Any]) -> None:
        real, fake = values.get("d_real"), values.get("d_fake")
        if real is not None and fake is not None and real > 0.995 and fake < 0.005:
            self._once(
                "answers",
                "the discriminator has won (it calls real photographs real and generated ones fake "
                "without doubt), so the generator learns little; more r1_weight or augment helps",
            )

    def _once(self, kind: str, sentence: str) -> None:
        if kind not in self._warned:
            self._warned.add(kind)
            self._warn(sentence)


def as_grid(pixels: Pixels, columns: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Lay [N, 3, H, W] out in rows of ``columns``: uint8 [rows * H, columns * W, 3]."""
    count, _, height, width = pixels.shape
    rows = -(-count // columns)
    grid = np.zeros((rows, columns, height, width, 3), dtype=np.uint8)
    flat = grid.reshape(rows * columns, height, width, 3)
    flat[:count] = pixels.permute(0, 2, 3, 1).cpu().numpy()
    return grid.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, 3)


def _keep_until(log: Path, step: int) -> None:
    """Drop the lines after ``step`` (and a half-written one) that a killed run left behind."""
    kept = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line + "\n")
        except (ValueError, KeyError, TypeError):
            continue
    with whole_file(log) as part:
        part.write_text("".join(kept), encoding="utf-8")


def _tensorboard(folder: Path, resumed_at: int | None, warn: Callable[[str], None]) -> Any:
    """A TensorBoard writer where the extra ``track`` is installed and works, else None."""
    try:
        load_optional("tensorboard")
        board = load_optional("torch.utils.tensorboard", "tensorboard")
    except NotUsable as error:
        if not error.absent:
            warn(_without_board(error.why))
        return None
    try:
        return board.SummaryWriter(
            str(folder / "tensorboard"), purge_step=None if resumed_at is None else resumed_at + 1
        )
    except Exception as error:
        warn(_without_board(f"failed ({_reason(error)})"))
        return None


def _without_board(why: str) -> str:
    return (
        f"TensorBoard {why}, so no events are written for it; log.jsonl and the sheets have all "
        'there is, and pip install --upgrade "stackgan[track]" may mend it'
    )


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
