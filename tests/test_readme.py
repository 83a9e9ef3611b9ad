"""What the documents say is true of the code: commands, settings, links, examples."""

import importlib.util
import json
import re
import shlex
from pathlib import Path

import pytest

import stackgan.model_folder
from stackgan.cli.main import VERBS, build_app, run
from stackgan.config import Settings, load_settings, preset_names
from stackgan.data.metadata import Columns, read_metadata
from stackgan.data.readers import READERS

ROOT = Path(__file__).parents[1]
SHEET = ROOT / "docs" / "images" / "flowers.png"
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EVERY_DOCUMENT = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
DRAWING = {"generate", "interpolate", "inspect"}
FILES = re.compile(r"\.(py|md|toml|jsonl?|csv|txt|png|np[yz]|pth?|pickle|t7|safetensors)$")


def blocks(text, language=None):
    """The fenced blocks of a document; of one language, or all but Python and data."""
    for found, body in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if found == language or (language is None and found in ("", "bash", "sh")):
            yield body


def spans(text):
    """The inline code of a document, its fenced blocks left out."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"`([^`\n]+)`", prose)


def words_of(line):
    """Each command of a shell line, as words: ``a && b`` is two."""
    words = shlex.split(line, comments=True)
    command = []
    for word in [*words, "&&"]:
        if word in ("&&", "||", ";", "|"):
            yield command
            command = []
        else:
            command.append(word)


def commands(text):
    """The ``stackgan`` command lines of the fenced blocks, without the program's name."""
    for body in blocks(text):
        for line in body.replace("\\\n", " ").splitlines():
            if "stackgan" in line:
                for words in words_of(line):
                    if words and words[0] == "stackgan":
                        yield words[1:]


def group():
    import typer

    return typer.main.get_command(build_app())


def command_of(words):
    """The verb's command (of ``data`` and ``encoder`` the one below it) and the words after it."""
    import typer

    verb, rest = words[0], words[1:]
    assert verb in VERBS, f"there is no verb {verb!r}"
    command = typer.main.get_command(build_app(verb)).commands[verb]
    if hasattr(command, "commands"):
        if not rest:
            return command, []
        assert rest[0] in command.commands, f"`stackgan {verb}` has no {rest[0]!r}"
        return command.commands[rest[0]], rest[1:]
    return command, rest


def options_of(command):
    return {name for parameter in command.params for name in (*parameter.opts, "-h", "--help")}


def check(words):
    """Raise where a command line would be refused: verbs, options, values, names, settings."""
    command, rest = command_of(words)
    values = command.make_context(words[0], list(rest)).params
    presets = values.get("preset") or []
    load_settings(list(presets), None, list(values.get("assign") or []))
    data = values.get("data") or values.get("source") or "toy"
    assert data in READERS, f"there is no data set {data!r}"
    if words[:2] in (["data", "check"], ["data", "prepare"]):
        assert values["name"] in READERS


@EVERY_DOCUMENT
def test_every_command_line_is_accepted(document):
    for words in commands(document.read_text("utf-8")):
        if "--help" not in words and words != ["--version"]:
            check(words)


@EVERY_DOCUMENT
def test_every_command_in_a_sentence_has_its_verb_and_options(document):
    for span in spans(document.read_text("utf-8")):
        if not span.startswith("stackgan ") or span == "stackgan VERB --help":
            continue
        words = shlex.split(span)[1:]
        if words == ["--version"]:
            continue
        command, rest = command_of(words)
        given = {word.split("=")[0] for word in rest if word.startswith("-") and word != "-"}
        assert given <= options_of(command), f"`{span}`: unknown {given - options_of(command)}"


@EVERY_DOCUMENT
def test_every_option_in_a_sentence_is_one_of_some_verb(document):
    known = {"--version"}
    for verb in VERBS:
        command, _ = command_of([verb])
        for each in getattr(command, "commands", {verb: command}).values():
            known |= options_of(each)
    for span in spans(document.read_text("utf-8")):
        if span.startswith("-") and re.match(r"--?[a-z]", span):
            words = shlex.split(span)
            assert words[0] in known, f"{document.name}: `{span}` is no option"
            if words[0] == "--set" and "=" in words[-1] and "KEY" not in words[-1]:
                load_settings(["modern"], None, [words[-1]])


@pytest.mark.parametrize(
    "planted",
    [
        "stackgan generate 'a flower' --number 4",
        "stackgan draw 'a flower'",
        "stackgan generate 'a flower' --stage 3",
        "stackgan data chek folder --root photos",
        "stackgan data check flders --root photos",
        "stackgan encoder train --data toy --root toy",
        "stackgan train --data toy --root toy --run r --preset moderm",
        "stackgan train --data toy --root toy --run r --set stage1.step=4",
        "stackgan train --data toy --root toy --run r --set stage1.loss=wasserstein",
        "pip install . && stackgan interpolate 'a flower' --steps 8",
    ],
)
def test_a_planted_mistake_is_found(planted):
    (words,) = commands(f"```\n{planted}\n```\n")
    with pytest.raises(Exception, match=r".") as caught:
        check(words)
    assert not isinstance(caught.value, NameError | TypeError | AttributeError)


@EVERY_DOCUMENT
def test_every_relative_link_leads_to_a_file(document):
    text = document.read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            continue
        found = (document.parent / target.partition("#")[0]).resolve()
        if found != SHEET:
            assert found.exists(), f"{document.name} links to {target}"


@pytest.mark.skipif(
    not stackgan.model_folder.shipped_models(), reason="no model is shipped to draw it"
)
def test_the_sheet_at_the_top_is_there():
    assert SHEET.is_file()


@EVERY_DOCUMENT
def test_every_preset_and_setting_exists(document):
    text = document.read_text("utf-8")
    listed = re.findall(r"\bpresets? ((?:`[\w-]+`(?:, | and | or )?)+)", text)
    named = [name for part in listed for name in re.findall(r"`([\w-]+)`", part)]
    named += re.findall(r"`([\w-]+)` preset", text)
    assert set(named) <= set(preset_names())
    for span in spans(text):
        key, _, value = (part.strip() for part in span.partition("="))
        dotted = re.fullmatch(r"[a-z]\w*(\.[a-z]\w*)+", key)
        alone = value and key in Settings.model_fields
        if not (dotted or alone) or FILES.search(key) or key.startswith("stackgan."):
            continue
        if value:
            load_settings(None, None, [f"{key}={value}"])
        else:
            model = Settings
            for part in key.split("."):
                assert part in model.model_fields, f"{document.name}: there is no setting {key}"
                model = model.model_fields[part].annotation


@EVERY_DOCUMENT
def test_every_example_of_metadata_can_be_read(document, tmp_path):
    for language in ("jsonl", "csv"):
        for body in blocks(document.read_text("utf-8"), language):
            path = tmp_path / f"metadata.{language}"
            path.write_text(body, encoding="utf-8")
            entries, faults = read_metadata(tmp_path, [path.name], Columns())
            assert entries and not faults
            assert all(entry.captions for entry in entries)


@pytest.fixture
def shipped(tmp_path, judged_model, monkeypatch):
    """A tiny model under the names that the documents use, in a folder to write into."""
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "flowers").symlink_to(judged_model)
    monkeypatch.setattr(stackgan.model_folder, "SHIPPED", tmp_path / "shipped")
    here = tmp_path / "here"
    for name in ("toy", "mine", "rehearsal", "try", "try-scenes"):
        (here / "runs" / name).mkdir(parents=True)
        (here / "runs" / name / "model").symlink_to(judged_model)
    (here / "docs").mkdir()
    (here / "docs" / "captions.txt").write_bytes((ROOT / "docs" / "captions.txt").read_bytes())
    monkeypatch.chdir(here)
    return here


@EVERY_DOCUMENT
def test_what_draws_and_every_python_example_run_as_printed(document, shipped, capsys):
    text = document.read_text("utf-8")
    for words in commands(text):
        if words[0] in DRAWING and "checkpoint.pt" not in " ".join(words):
            assert run(words) == 0, capsys.readouterr().err
            if "--json" in words:
                assert json.loads(capsys.readouterr().out)
            capsys.readouterr()
    for body in blocks(text, "python"):
        exec(compile(body, document.name, "exec"), {})


def test_paper_md_is_what_the_docstrings_say():
    where = ROOT / "docs" / "make_paper_md.py"
    spec = importlib.util.spec_from_file_location("make_paper_md", where)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    written = (ROOT / "docs" / "paper.md").read_text("utf-8")
    assert written == program.paper_md(), "run `python docs/make_paper_md.py`"


@pytest.mark.parametrize("folder", ["src", "tests", "benchmarks", "docs"])
def test_no_docstring_refers_to_a_document_that_is_not_here(folder):
    for path in sorted((ROOT / folder).rglob("*.py")):
        for name in set(re.findall(r"\b[A-Z]{3,}\.md\b", path.read_text("utf-8"))):
            beside = [ROOT / name, path.parent / name, ROOT / "docs" / name]
            assert any(each.is_file() for each in beside), f"{path} refers to {name}"
