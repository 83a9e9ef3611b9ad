"""What a run reads is compared when it goes on, its folder is held, and advice works as given."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from stackgan.cli.main import run as stackgan
from stackgan.config import validate_settings
from stackgan.errors import InputError, ModelError
from stackgan.text.char_cnn_rnn import CharCnnRnn, Sizes
from stackgan.training import run as training
from stackgan.training.checkpoint import read_checkpoint
from stackgan.training.lock import LOCK, held
from stackgan.training.plan import Plan, read_plan

STAGE = {"steps": 2, "batch_size": 2}
SETTINGS = {
    "architecture": {
        "condition_dim": 4, "noise_dim": 4, "text_dim": 4, "image_px": 128, "residual_blocks": 1,
        "stage1_generator_width": 2, "stage1_discriminator_width": 2,
        "stage2_generator_width": 4, "stage2_discriminator_width": 2,
    },
    "stage1": STAGE, "stage2": STAGE, "log_every": 1, "checkpoint_every": 2, "sheet_every": 100,
    "precision": "fp32",
}  # fmt: skip
DEAD = 999_999_999
COLOURS = ["red", "green", "blue", "white", "black", "brown"]


def draw(root: Path, count: int = 6) -> Path:
    """Photographs ``0.png`` and so on of one colour, each with its caption and a class."""
    root.mkdir(parents=True)
    rows = []
    for place, colour in enumerate(COLOURS[:count]):
        Image.new("RGB", (64, 64), colour).save(root / f"{place}.png")
        kind = "cup" if place < 3 else "mug"
        row = {"file_name": f"{place}.png", "text": [f"a {colour} {kind}"], "class": kind}
        rows.append(row)
    write(root, rows)
    return root


def rows_of(root: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (root / "metadata.jsonl").read_text().splitlines()]


def write(root: Path, rows: list[dict[str, Any]]) -> None:
    (root / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def new_encoder(path: Path, seed: int) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        CharCnnRnn(Sizes(conv1=8, conv2=8, hidden=8, dim=12)).save(path)
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photographs, an encoder and a finished run of both stages."""
    place = tmp_path_factory.mktemp("finished")
    train(place, draw(place / "photos"), new_encoder(place / "text_encoder.safetensors", 0))
    return place


def train(place: Path, root: Path, encoder: Path, **changes: Any) -> None:
    options = {"test_fraction": 0}
    plan = Plan("folder", str(root), validate_settings(SETTINGS), encoder=str(encoder),
                options=options, **changes)  # fmt: skip
    training.begin(place / "run", plan)
    training.train(place / "run", plan)


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """That folder again, the run's paths in it being its own."""
    place = tmp_path / "copy"
    shutil.copytree(finished, place)
    path = place / "run/settings.json"
    path.write_text(path.read_text().replace(str(finished), str(place)))
    return place


def add(root: Path) -> None:
    Image.new("RGB", (64, 64), "pink").save(root / "6.png")
    write(root, [*rows_of(root), {"file_name": "6.png", "text": ["a pink mug"], "class": "mug"}])


def drop(root: Path) -> None:
    write(root, rows_of(root)[1:])


def rename(root: Path) -> None:
    (root / "0.png").rename(root / "00.png")
    rows = rows_of(root)
    write(root, [rows[0] | {"file_name": "00.png"}, *rows[1:]])


def caption(root: Path) -> None:
    rows = rows_of(root)
    write(root, [*rows[:5], rows[5] | {"text": ["a dark brown mug"]}])


def more_captions(root: Path) -> None:
    rows = rows_of(root)
    write(root, [rows[0] | {"text": [*rows[0]["text"], "a cup"]}, *rows[1:]])


def reclass(root: Path) -> None:
    rows = rows_of(root)
    write(root, [rows[0] | {"class": "mug"}, *rows[1:]])


def repaint(root: Path) -> None:
    Image.effect_noise((64, 64), 90).convert("RGB").save(root / "2.png")


def to_test(root: Path) -> None:
    rows = rows_of(root)
    write(root, [rows[0] | {"split": "test"}, *rows[1:]])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (add, "1 photograph more (6.png)"),
        (drop, "1 photograph fewer (0.png)"),
        (rename, "1 photograph more (00.png), 1 photograph fewer (0.png)"),
        (caption, "the captions of 1 photograph (5.png) differ"),
        (more_captions, "the captions of 1 photograph (0.png) differ"),
        (reclass, "class, box or key points of 1 photograph (0.png) differ"),
        (repaint, "the files of 1 photograph (2.png) differ in size"),
        (to_test, "1 photograph fewer (0.png)"),
    ],
)
def test_other_data_under_the_same_root_is_refused_by_what_differs(
    change: Callable[[Path], None], named: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in (copy / "run").rglob("*") if path.is_file()}
    change(copy / "photos")
    assert stackgan(["train", "--run", str(copy / "run"), "--resume"]) == 2
    said = capsys.readouterr().err
    assert named in said and str(copy / "photos") in said and said.count("\n") == 1
    after = {path: path.read_bytes() for path in (copy / "run").rglob("*") if path.is_file()}
    assert before == after


def test_a_dry_run_of_a_run_that_goes_on_refuses_the_same(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    go_on = ["train", "--run", str(copy / "run"), "--resume", "--dry-run", "--json"]
    assert stackgan(go_on) == 0
    before = {path: path.read_bytes() for path in (copy / "run").rglob("*") if path.is_file()}
    caption(copy / "photos")
    capsys.readouterr()
    assert stackgan(go_on) == 2
    assert "the captions of 1 photograph (5.png) differ" in capsys.readouterr().err
    assert before == {p: p.read_bytes() for p in (copy / "run").rglob("*") if p.is_file()}


def test_another_encoder_at_the_same_place_is_refused(copy: Path) -> None:
    new_encoder(copy / "text_encoder.safetensors", 1)
    with pytest.raises(InputError, match=r"text encoder .*text_encoder.* is another one"):
        training.train(copy / "run", read_plan(copy / "run"))


def test_another_own_encoder_is_refused_by_the_checkpoint(copy: Path) -> None:
    new_encoder(copy / "text_encoder.safetensors", 1)
    (copy / "run/inputs.json").unlink()  # of a run that kept none, or of its own encoder
    with pytest.raises(ModelError, match="was trained with another text encoder"):
        training.train(copy / "run", read_plan(copy / "run"))


@pytest.mark.parametrize("named", ["stage1", "init_from"])
def test_another_model_at_the_same_place_is_refused(named: str, copy: Path, tmp_path: Path) -> None:
    shutil.copytree(copy / "run/model", tmp_path / "model")
    plan = read_plan(copy / "run")
    settings = plan.settings.model_copy(
        update={"architecture": plan.settings.architecture.model_copy(update={"embedding_dim": 12})}
    )
    changes = {named: str(tmp_path / "model"), "encoder": None}
    other = Plan("folder", plan.root, settings, (2,), options=plan.options, **changes)  # type: ignore[arg-type]
    training.begin(tmp_path / "run", other)
    config = json.loads((tmp_path / "model/config.json").read_text())
    config["files"]["README.md"] = {"sha256": "", "bytes": 1}
    (tmp_path / "model/config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=f"{tmp_path}/model is another one"):
        training.train(tmp_path / "run", other)


def test_a_run_without_digests_is_told_and_gets_them(copy: Path) -> None:
    inputs = (copy / "run/inputs.json").read_bytes()
    (copy / "run/inputs.json").unlink()
    said: list[str] = []
    training.train(copy / "run", read_plan(copy / "run"), say=said.append)
    assert len(said) == 1 and "kept no digest of its data" in said[0]
    kept = json.loads((copy / "run/inputs.json").read_text())
    assert kept | {"sheet": []} == json.loads(inputs) | {"sheet": []}


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"format": "stackgan-inputs/9"}'])
def test_damaged_digests_are_named(damage: str, copy: Path) -> None:
    (copy / "run/inputs.json").write_text(damage)
    with pytest.raises(ModelError, match=r"run/inputs\.json cannot be read as what the run began"):
        training.train(copy / "run", read_plan(copy / "run"))


def test_the_sheets_show_the_same_captions_whatever_becomes_of_the_test_split(copy: Path) -> None:
    shown = (copy / "run/stage2/captions.txt").read_text()
    rows = rows_of(copy / "photos")
    Image.new("RGB", (64, 64), "pink").save(copy / "photos/6.png")
    write(copy / "photos", [*rows, {"file_name": "6.png", "text": "a pink jug", "split": "test"}])
    training.train(copy / "run", read_plan(copy / "run"))
    assert (copy / "run/stage2/captions.txt").read_text() == shown


def resumed(place: Path, *more: str) -> int:
    return stackgan(["train", "--run", str(place / "run"), "--resume", *more])


def test_data_that_was_moved_is_found_by_root_and_gives_the_same_bits(
    copy: Path, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "photos").rename(copy / "mugs")
    assert resumed(copy) == 2
    assert "--root names the folder" in capsys.readouterr().err
    more = ("--set", "stage2.steps=4")
    assert resumed(copy, "--root", str(copy / "mugs"), *more) == 0
    assert read_plan(copy / "run").root == str(copy / "mugs")
    assert resumed(copy) == 0
    straight = copy.parent / "straight"
    shutil.copytree(finished, straight)
    assert resumed(straight, *more) == 0
    assert same(copy / "run/stage2/checkpoint.pt", straight / "run/stage2/checkpoint.pt")


def same(one: Path, two: Path) -> bool:
    weights = [read_checkpoint(path)["generator"] for path in (one, two)]
    return all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_other_data_is_refused_by_root_too(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(copy / "few", 5)
    before = (copy / "run/settings.json").read_bytes()
    assert resumed(copy, "--root", str(copy / "few")) == 2
    assert "1 photograph fewer (5.png)" in capsys.readouterr().err
    assert (copy / "run/settings.json").read_bytes() == before


def test_an_encoder_that_was_moved_is_found_by_its_option(copy: Path) -> None:
    (copy / "text_encoder.safetensors").rename(copy / "moved.safetensors")
    assert resumed(copy) == 2
    assert resumed(copy, "--encoder", str(copy / "moved.safetensors")) == 0
    assert resumed(copy) == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--stage", "1"], "not --stage"),
        (["--data", "folder"], "not --data"),
        (["--init-from", "flowers"], "begun without --init-from, which cannot be added"),
        (["--set", "stage2.batch_size=4"], "stage2.batch_size is fixed when a run begins"),
        (["--set", "seed=3"], "seed is fixed when a run begins"),
        (["--set", "architecture.noise_dim=9"], "is fixed when a run begins"),
        (["--set", "stage2.generator_lr=-1"], "stage2.generator_lr is -1"),
        (["--set", "stage2.steps=1"], "has done 2 steps, more than the 1"),
        (["--set", "stage2.epochs=0"], "stage2.epochs is 0"),
        (["--set", "stage1.steps=9"], "Stage-II was begun upon the Stage-I"),
        (["--set", "stage1.generator_lr=1e-5"], "Stage-II was begun upon the Stage-I"),
        (["--root", "nowhere"], "nowhere does not exist"),
    ],
)
def test_what_a_run_cannot_change_is_refused_and_changes_nothing(
    words: list[str], sentence: str, copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (copy / "run/settings.json").read_bytes()
    assert resumed(copy, *words) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1
    assert (copy / "run/settings.json").read_bytes() == before


def test_rates_and_more_steps_are_taken_kept_and_said(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ["--set", "stage2.steps=3", "--set", "stage2.generator_lr=1e-30", "--set", "log_every=7"]
    before = read_checkpoint(copy / "run/stage2/checkpoint.pt")["generator"]
    assert resumed(copy, *more) == 0
    said = capsys.readouterr().err
    assert (
        "from here on stage2.steps 3 in place of 2, stage2.generator_lr 1e-30 in place of" in said
    )
    assert "log_every" not in said
    kept = read_plan(copy / "run").settings
    assert (kept.stage2.steps, kept.stage2.generator_lr, kept.log_every) == (3, 1e-30, 7)
    state = read_checkpoint(copy / "run/stage2/checkpoint.pt")
    assert state["step"] == 3
    weight = "rgb.weight"
    assert torch.equal(before[weight], state["generator"][weight])  # of no rate to speak of


def test_more_steps_from_the_start_are_the_same_as_more_steps_later(
    finished: Path, copy: Path
) -> None:
    place = copy.parent / "long"
    place.mkdir()
    settings = SETTINGS | {"stage2": STAGE | {"steps": 4}}
    plan = read_plan(copy / "run")
    long = Plan("folder", plan.root, validate_settings(settings), encoder=plan.encoder,
                options=plan.options)  # fmt: skip
    training.begin(place / "run", long)
    training.train(place / "run", long)
    assert resumed(copy, "--set", "stage2.steps=4") == 0
    assert same(copy / "run/stage2/checkpoint.pt", place / "run/stage2/checkpoint.pt")


def advised(said: str) -> list[str]:
    """The command that a sentence gives between backquotes, without its first word."""
    found = re.search(r"`stackgan ([^`]*)`", said)
    assert found is not None, said
    return shlex.split(found.group(1))


def base(place: Path, run: str, *more: str) -> list[str]:
    encoder = ["--encoder", str(place / "text_encoder.safetensors"), "--preset", "paper"]
    words = ["train", "--data", "folder", "--root", str(place / "photos"), "--run", run, *encoder]
    words += ["--option", "test_fraction=0", "--stage", "1"]
    flat = {f"architecture.{k}": v for k, v in SETTINGS["architecture"].items()}  # type: ignore[attr-defined]
    flat |= {"stage1.batch_size": 2, "log_every": 1, "precision": "fp32"}
    return [*words, *(w for k, v in flat.items() for w in ("--set", f"{k}={v}")), *more]


RUIN = ["--set", "stage1.generator_lr=1e30", "--set", "stage1.discriminator_lr=1e30"]


@pytest.mark.parametrize("every", [1, 3])
def test_the_way_out_of_a_loss_that_is_no_number_is_one(
    every: int, copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path / "nan")
    more = ["--set", "stage1.steps=4", "--set", f"checkpoint_every={every}"]
    assert stackgan([*base(copy, run), *RUIN, *more]) == 1
    command = advised(capsys.readouterr().err)
    assert "stage1.generator_lr=0.0002" in command
    assert stackgan(command) == 0
    assert read_checkpoint(tmp_path / "nan/stage1/checkpoint.pt")["step"] == 4


def test_where_lower_rates_were_tried_in_vain_a_new_run_is_advised(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = training.run_steps

    def poisoned(stage: Any, *rest: Any) -> Any:
        for report in steps(stage, *rest):
            yield report | {"g_loss": torch.tensor(float("nan"))}

    monkeypatch.setattr(training, "run_steps", poisoned)
    more = ["--set", "stage2.steps=9"]
    assert resumed(copy, *more) == 1
    assert "--resume --set stage2.generator_lr=5e-05" in capsys.readouterr().err
    assert resumed(copy, "--set", "stage2.generator_lr=5e-05") == 1
    said = capsys.readouterr().err
    assert "begin a new run, with lower rates" in said and "--resume" not in said


def test_the_sentence_of_a_run_that_is_there_names_a_command_that_works(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stackgan(base(copy, str(copy / "run"))) == 2
    assert stackgan(advised(capsys.readouterr().err)) == 0


def test_trained_networks_without_their_settings_are_no_new_run(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "run/settings.json").unlink()
    assert stackgan(base(copy, str(copy / "run"))) == 2
    assert "stage1/checkpoint.pt of a run whose settings.json is gone" in capsys.readouterr().err


def test_a_folder_in_use_refuses_a_second_process_by_the_firsts_number(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = (
        "import sys\nfrom pathlib import Path\nfrom stackgan.training.lock import held\n"
        "with held(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    path = os.pathsep.join(p for p in sys.path if p)
    first = subprocess.Popen(
        [sys.executable, "-c", program, str(copy / "run")],
        env=os.environ | {"PYTHONPATH": path}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert first.stdout is not None and first.stdin is not None
    try:
        assert first.stdout.readline() == b"held\n"
        assert resumed(copy) == 2
        said = capsys.readouterr().err
        assert f"{copy / 'run'} is in use by process {first.pid}:" in said
        first.kill()
        first.wait()
        assert (copy / "run" / LOCK).exists()  # what a killed process leaves does not block
        assert resumed(copy) == 0
    finally:
        first.kill()
        first.wait()
        first.stdin.close()
        first.stdout.close()


@pytest.mark.parametrize(
    "left",
    ["", f"{DEAD}\n", f"{os.getppid()}\n", "no number", "\0\xff"],
    ids=["nothing", "dead", "alive", "words", "bytes"],
)
def test_a_lock_that_nobody_holds_does_not_block(left: str, tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text(left)
    with held(tmp_path):
        assert (tmp_path / LOCK).read_text().split()[0] == str(os.getpid())
        with pytest.raises(InputError, match=f"in use by process {os.getpid()}:"), held(tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("holder", "blocks"), [(DEAD, False), (os.getppid(), True)], ids=["dead", "alive"]
)
def test_a_disk_without_locks_is_asked_by_the_number(
    holder: int, blocks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stackgan.training import lock

    def none(file: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(lock, "_ask_system", none)
    (tmp_path / LOCK).write_text(f"{holder}\n")
    if blocks:
        with pytest.raises(InputError, match=f"process {holder}:"), held(tmp_path):
            pass
    else:
        with held(tmp_path):
            pass


def test_what_a_kill_left_in_a_run_is_gone_when_it_goes_on(copy: Path) -> None:
    run = copy / "run"
    left = [f".model.part-{DEAD}", ".settings.json.part-1", "stage1/.checkpoint.pt.part",
            "stage2/.sheet-000100.png.part-7", "stage2/.log.jsonl.part",
            "cache/pixels-64-crop-0.npy.1.ab.building"]  # fmt: skip
    (run / left[0]).mkdir()
    for name in left[1:]:
        (run / name).write_text("half")
    assert resumed(copy) == 0
    assert [name for name in left if (run / name).exists()] == []
