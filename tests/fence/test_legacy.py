"""What the published networks computed: recorded, unchanged, and held by a test each."""

from __future__ import annotations

from pathlib import Path

import pytest
from fence.machines import sha256

TESTS = Path(__file__).parents[1]
RECORDED = TESTS / "recorded"

ENCODERS = (
    "text/test_published_encoders.py::test_each_has_the_published_tensors",
    "text/test_published_encoders.py::test_recorded_embeddings_come_out_alone_and_in_a_batch",
    "legacy/test_published_encoders.py::test_the_four_published_ones_embed_as_recorded",
)
FORWARD = (
    "training/test_authors_pt.py::test_the_generators_compute_what_was_recorded",
    "training/test_authors_pt.py::test_the_discriminators_compute_what_was_recorded",
    "legacy/test_authors_files.py::test_stage_1",
    "legacy/test_authors_files.py::test_stage_2_and_the_stage_1_inside_its_file",
    "legacy/test_authors_files.py::test_discriminators",
)
STEPS = (
    "training/test_authors_pt.py::test_three_steps_train_as_recorded",
    "training/test_authors_pt.py::"
    "test_the_command_s_first_losses_are_the_recorded_ones_on_a_processor_with_bf16",
)
HELD = {
    "char_cnn_rnn/embeddings.npz": ("517a379b0c76b46b", ENCODERS[1:]),
    "char_cnn_rnn/keys.json": ("8e3dd5f05ba48413", ENCODERS),
    "stackgan_pt/forward.npz": ("0dcc833758941eb6", FORWARD),
    "stackgan_pt/stage1_D.pth": ("1010d83d19396a52", FORWARD + STEPS),
    "stackgan_pt/stage1_G.pth": ("d16ed9a1bc627882", FORWARD + STEPS),
    "stackgan_pt/stage2_D.pth": ("e36d838502bd0b48", FORWARD + STEPS),
    "stackgan_pt/stage2_G.pth": ("efaaaebffaa05264", FORWARD + STEPS),
    "stackgan_pt/three_steps.npz": ("a46a7acb725a2792", STEPS),
}
"""File: how its sha256 begins, and the tests that compute what it holds."""


@pytest.mark.parametrize("file", HELD)
def test_a_recorded_file_is_as_it_was_recorded(file: str) -> None:
    assert sha256((RECORDED / file).read_bytes())[:16] == HELD[file][0]


@pytest.mark.parametrize("file", HELD)
def test_the_tests_that_hold_a_recorded_file_are_there(file: str) -> None:
    for name in HELD[file][1]:
        path, _, function = name.partition("::")
        text = (TESTS / path).read_text("utf-8")
        assert f"\ndef {function}(" in text, f"{name} is gone; it held {file}"


def test_every_recorded_file_is_listed() -> None:
    files = [p for p in RECORDED.rglob("*") if p.is_file() and p.name != "README.md"]
    names = {path.relative_to(RECORDED).as_posix() for path in files}
    assert {name for name in names if not name.startswith("fence/")} == HELD.keys()
