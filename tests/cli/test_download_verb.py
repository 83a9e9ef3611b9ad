"""``stackgan data download``: its answers, its exit codes, and what wrong use leaves behind."""

from __future__ import annotations

import hashlib
import io
import json
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stackgan.data.addresses import DATA_SETS, Part


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture
def birds(tmp_path, monkeypatch):
    """A server that has the birds' two archives, in small; gives the folder that it serves."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    served = tmp_path / "served"
    served.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(served)))
    parts = []
    for name, inside in (("CUB_200_2011.zip", "CUB_200_2011"), ("text.zip", "text")):
        opened = io.BytesIO()
        with zipfile.ZipFile(opened, "w") as packed:
            packed.writestr(f"{inside}/any.txt", "a bird")
        (served / name).write_bytes(opened.getvalue())
        checksum = f"sha256:{hashlib.sha256(opened.getvalue()).hexdigest()}"
        url = f"http://127.0.0.1:{server.server_port}/{name}"
        parts.append(Part(url, name, {inside: inside}, checksum))
    monkeypatch.setitem(DATA_SETS, "cub", tuple(parts))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_says_what_was_fetched_and_then_what_was_there(command_line, birds, tmp_path):
    root = tmp_path / "cub"
    done = command_line("data", "download", "cub", "--root", root)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [f"{root}/CUB_200_2011: fetched", f"{root}/text: fetched"]
    done = command_line("data", "download", "cub", "--root", root, "--json")
    assert done.code == 0
    assert json.loads(done.out) == {
        "name": "cub",
        "root": str(root),
        "fetched": [],
        "present": ["CUB_200_2011", "text"],
    }


def test_a_download_that_fails_is_one_sentence_and_exit_code_1(command_line, birds, tmp_path):
    (birds / "text.zip").unlink()
    done = command_line("data", "download", "cub", "--root", tmp_path / "cub")
    assert done.code == 1
    assert done.out == ""
    assert done.err.count("\n") == 1
    assert "text.zip cannot be fetched: the server answers 404" in done.err
    assert sorted(path.name for path in (tmp_path / "cub").iterdir()) == [
        ".stackgan",
        "CUB_200_2011",
    ]


def test_a_file_that_is_not_the_published_one_is_refused(command_line, birds, tmp_path):
    (birds / "text.zip").write_bytes(b"another")
    done = command_line("data", "download", "cub", "--root", tmp_path / "cub")
    assert done.code == 1
    assert "checksum is sha256:" in done.err
    assert not (tmp_path / "cub" / "text").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["cubb", "--root", "new"], "did you mean 'cub'"),
        (["toy", "--root", "new"], "stackgan data toy --root DIR"),
        (["cub"], "missing option '--root'"),
        ([], "missing argument 'NAME'"),
        (["coco", "--root", "new", "--year", "2016"], "did you mean 2017"),
        (["coco", "--root", "new", "--year", "soon"], "invalid value for '--year'"),
        (["cub", "--root", "new", "--year", "2014"], "--year is for coco alone"),
        (["cub", "--root", "file"], "file is a file; --root names the folder"),
        (["cub", "--root", "new", "--rot", "x"], "no such option: --rot"),
    ],
)
def test_wrong_use_is_one_sentence_and_writes_nothing(
    command_line, tmp_path, monkeypatch, words, sentence
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    done = command_line("data", "download", *words)
    assert done.code == 2
    assert sentence.lower() in done.err.lower()
    assert done.err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
