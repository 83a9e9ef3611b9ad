"""One address, one file: whatever the server does, the file is whole and right, or a sentence."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
from pathlib import Path
from urllib.request import Request

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stackgan.data import fetch as fetch_module
from stackgan.data.fetch import REDIRECTS, Patience, _Redirects, digest, fetch
from stackgan.errors import RunFailed

BODY = bytes(range(256)) * 40
SHA256 = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
MD5 = f"md5:{hashlib.md5(BODY).hexdigest()}"
QUICK = Patience(tries=3, timeout_s=5, pause_s=0)


@pytest.fixture
def here(tmp_path, web):
    web.files["file.bin"] = BODY
    return tmp_path / "file.bin"


def get(web, target, **more):
    more.setdefault("patience", QUICK)
    fetch(web.url("file.bin"), target, **more)


def assert_whole(target):
    assert target.read_bytes() == BODY
    assert [path.name for path in target.parent.iterdir()] == [target.name]


@pytest.mark.parametrize("checksum", [None, SHA256, MD5])
@pytest.mark.parametrize("size_bytes", [None, len(BODY)])
def test_a_file_arrives_under_its_name_and_nothing_else_stays(web, here, checksum, size_bytes):
    seen = []
    get(
        web,
        here,
        checksum=checksum,
        size_bytes=size_bytes,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert_whole(here)
    assert seen
    assert seen[-1] == (0, 0)  # megabytes


def test_a_broken_download_goes_on_where_it_broke(web, here, behaviour):
    web.behaves = [behaviour["breaks_off"](1000), behaviour["breaks_off"](50)]
    get(web, here)
    assert_whole(here)
    assert web.ranges() == [None, "bytes=1000-", "bytes=1050-"]


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(web, here, behaviour):
    web.behaves = [behaviour["breaks_off"](1000)]
    with pytest.raises(RunFailed, match=r"1,000 of 10,240 bytes.*1,000 bytes are kept"):
        get(web, here, patience=Patience(tries=1))
    assert not here.exists()
    get(web, here)
    assert_whole(here)
    assert web.ranges() == [None, "bytes=1000-"]


def test_a_file_that_has_changed_is_begun_anew(web, here, behaviour):
    web.behaves = [behaviour["breaks_off"](1000)]
    with pytest.raises(RunFailed):
        get(web, here, patience=Patience(tries=1))
    changed = BODY[::-1]
    web.files["file.bin"], web.tag = changed, '"second"'
    get(web, here)
    assert here.read_bytes() == changed


def test_without_a_version_and_a_checksum_a_part_is_not_trusted(web, here, behaviour):
    web.tag = None
    web.behaves = [behaviour["breaks_off"](1000)]
    with pytest.raises(RunFailed):
        get(web, here, patience=Patience(tries=1))
    get(web, here)
    assert_whole(here)
    assert web.ranges() == [None, None]


def test_a_part_of_another_address_is_not_gone_on_with(web, here, behaviour):
    web.behaves = [behaviour["breaks_off"](1000)]
    with pytest.raises(RunFailed):
        get(web, here, patience=Patience(tries=1))
    web.files["other.bin"] = BODY[::-1]
    fetch(web.url("other.bin"), here, patience=QUICK)
    assert here.read_bytes() == BODY[::-1]


@pytest.mark.parametrize("note", [b"", b"[]", b"\xff", b'{"url": 3}', b'{"url":1,"validator":[]}'])
def test_a_damaged_note_costs_the_part_only(web, here, note):
    here.with_name("file.bin.part").write_bytes(b"junk")
    here.with_name("file.bin.part.json").write_bytes(note)
    get(web, here)
    assert_whole(here)


def test_a_damaged_part_is_found_and_fetched_once_more(web, here):
    here.with_name("file.bin.part").write_bytes(b"junk")
    note = {"url": web.url("file.bin"), "validator": web.tag}
    here.with_name("file.bin.part.json").write_text(json.dumps(note))
    get(web, here, checksum=SHA256)
    assert_whole(here)
    assert web.ranges() == ["bytes=4-", None]


@pytest.mark.parametrize("size_bytes", [None, len(BODY)])
def test_a_wrong_checksum_is_told_and_nothing_stays(web, here, size_bytes):
    with pytest.raises(RunFailed, match=f"checksum is {SHA256}, expected sha256:0000"):
        get(web, here, checksum="sha256:" + "0" * 64, size_bytes=size_bytes)
    assert list(here.parent.iterdir()) == []
    assert len(web.seen) == 1


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("without_ranges", None),
        ("another_range", None),
        ("hangs_up", None),
        ("no_http", None),
        ("answers", 500),
        ("answers", 503),
        ("answers", 429),
        ("answers", 204),
    ],
)
def test_a_passing_fault_is_tried_again(web, here, behaviour, name, given):
    fault = behaviour[name] if given is None else behaviour[name](given)
    web.behaves = [behaviour["breaks_off"](1000), fault]
    get(web, here, checksum=SHA256)
    assert_whole(here)


def test_a_server_without_ranges_sends_the_whole_file_again(web, here, behaviour):
    web.behaves = [behaviour["breaks_off"](1000), behaviour["without_ranges"]]
    get(web, here)
    assert_whole(here)


def test_tries_are_bounded_and_their_pauses_grow(web, here, behaviour):
    pauses = []
    web.behaves = [behaviour["answers"](503)] * 9
    with pytest.raises(RunFailed, match=r"answers 503 Service Unavailable \(tried 4 times\)"):
        get(web, here, patience=Patience(tries=4, pause_s=1, sleep=pauses.append))
    assert pauses == [1, 2, 4]
    assert len(web.seen) == 4
    assert list(here.parent.iterdir()) == []


def test_tries_that_bring_much_are_not_counted(web, here, behaviour, monkeypatch):
    monkeypatch.setattr(fetch_module, "CHUNK_BYTES", 1000)
    web.behaves = [behaviour["breaks_off"](1000)] * 10
    get(web, here, patience=Patience(tries=2, pause_s=0))
    assert_whole(here)


def test_tries_that_bring_little_are(web, here, behaviour):
    web.behaves = [behaviour["breaks_off"](10)] * 10
    with pytest.raises(RunFailed, match=r"30 bytes are kept"):
        get(web, here)
    assert len(web.seen) == 3


def test_a_server_that_stalls_is_left(web, here, behaviour):
    web.behaves = [behaviour["stalls"]] * 2
    with pytest.raises(RunFailed, match="does not answer in time"):
        get(web, here, patience=Patience(tries=2, timeout_s=0.2, pause_s=0))
    assert not here.exists()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_lasting_refusal_is_told_at_once(web, here, behaviour, status):
    web.behaves = [behaviour["answers"](status)]
    with pytest.raises(RunFailed, match=rf"answers {status} .*browser and put it at .*file\.bin"):
        get(web, here)
    assert len(web.seen) == 1


PAGE = b"\n<!DOCTYPE html><html><body>Please sign in</body></html>"


@pytest.mark.parametrize(
    ("kind", "page"),
    [("text/html; charset=utf-8", b"<p>Please sign in"), ("application/octet-stream", PAGE)],
)
def test_a_web_page_is_not_taken_for_the_file(web, here, behaviour, kind, page):
    web.behaves = [behaviour["web_page"](kind, page)]
    with pytest.raises(RunFailed, match="answers with a web page instead of the file"):
        get(web, here)
    assert not here.exists()


def test_an_announced_length_that_is_too_long_does_no_harm_where_the_size_is_known(
    web, here, behaviour
):
    web.behaves = [behaviour["announces_more"](500)]
    get(web, here, size_bytes=len(BODY))
    assert_whole(here)


def test_an_announced_length_that_is_too_long_is_asked_about(web, here, behaviour):
    web.behaves = [behaviour["announces_more"](500)]
    get(web, here)
    assert_whole(here)
    assert web.ranges() == [None, "bytes=10240-"]  # answered by 416 */10240: all is there


def test_an_announced_length_that_is_too_short_is_seen_where_the_size_is_known(
    web, here, behaviour
):
    web.behaves = [behaviour["announces_less"]]
    get(web, here, size_bytes=len(BODY))
    assert_whole(here)
    assert web.ranges() == [None, "bytes=5120-"]


@pytest.mark.parametrize("length", [10**30, -5])
def test_an_absurd_length_is_one_sentence(web, here, length):
    web.behaves = [
        lambda handler, body: handler.head(200, Content_Length=length) or handler.wfile.write(body)
    ]
    try:
        get(web, here)
    except RunFailed as error:
        assert "no space left on the disk" in str(error)
        assert not here.exists()
    else:
        assert_whole(here)


def test_more_bytes_than_expected_are_refused(web, here):
    with pytest.raises(RunFailed, match="sends more than the 100 bytes expected"):
        get(web, here, size_bytes=100)
    assert list(here.parent.iterdir()) == []


def test_a_file_without_a_size_is_bounded(web, here, behaviour, monkeypatch):
    monkeypatch.setattr(fetch_module, "LIMIT_BYTES", 5000)
    web.behaves = [behaviour["without_length"]]
    with pytest.raises(RunFailed, match="more than the 5,000 bytes"):
        get(web, here)


def test_a_file_without_a_length_and_chunks_that_break(web, here, behaviour):
    web.behaves = [behaviour["broken_chunks"], behaviour["without_length"]]
    get(web, here, checksum=SHA256)
    assert_whole(here)


def test_redirects_are_followed_a_few_times(web, here, behaviour):
    web.behaves = [behaviour["redirects"](web.url("file.bin"), status) for status in (301, 307)]
    get(web, here)
    assert_whole(here)


def test_redirects_in_circles_end(web, here, behaviour):
    web.behaves = [behaviour["redirects"](web.url(f"file.bin?{n}")) for n in range(20)]
    with pytest.raises(RunFailed, match="redirects more than 5 times"):
        get(web, here)
    assert len(web.seen) == REDIRECTS + 1


@pytest.mark.parametrize("to", ["ftp://127.0.0.1/x", "file:///etc/passwd", "gopher:x"])
def test_a_redirect_to_something_else_than_the_web_is_refused(web, here, behaviour, to):
    web.behaves = [behaviour["redirects"](to)]
    with pytest.raises(RunFailed, match="redirects to"):
        get(web, here)
    assert list(here.parent.iterdir()) == []


def test_encryption_is_never_given_up():
    asked = Request("https://good.example/file.tgz")
    follow = _Redirects().redirect_request
    with pytest.raises(RunFailed, match="not encrypted"):
        follow(asked, None, 302, "Found", {}, "http://good.example/file.tgz")
    assert follow(asked, None, 302, "Found", {}, "https://other.example/file.tgz") is not None
    plain = Request("http://good.example/file.tgz")
    assert follow(plain, None, 302, "Found", {}, "http://other.example/file.tgz") is not None


def test_no_server_is_one_sentence(tmp_path):
    with pytest.raises(RunFailed, match=r"http://127.0.0.1:9/x cannot be fetched: .*refused"):
        fetch("http://127.0.0.1:9/x", tmp_path / "x", patience=QUICK)
    assert list(tmp_path.iterdir()) == []


def test_a_file_larger_than_the_disk_is_not_begun(web, here, monkeypatch):
    usage = shutil.disk_usage(here.parent)._replace(free=10_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(RunFailed, match=r"10,240 bytes are missing, 10,000 are free"):
        get(web, here)
    assert list(here.parent.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_disk_that_fills_up_is_one_sentence_and_the_part_stays(web, here, monkeypatch, number):
    def full(self, *arguments):
        raise OSError(number, "full")

    with monkeypatch.context() as patch:
        patch.setattr(fetch_module._Part, "_copy", full)
        with pytest.raises(
            RunFailed, match=r"part cannot be written: no space is left on the disk"
        ):
            get(web, here)
    assert not here.exists()
    get(web, here)
    assert_whole(here)


def test_digest_names_its_kind(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(BODY)
    assert digest(path) == SHA256
    assert digest(path, "md5") == MD5


FAULTS = st.lists(
    st.one_of(
        st.tuples(st.just("breaks_off"), st.integers(0, 5000)),
        st.tuples(st.just("announces_more"), st.integers(1, 500)),
        st.tuples(st.just("answers"), st.sampled_from([204, 302, 404, 408, 416, 500])),
        st.tuples(
            st.sampled_from(
                [
                    "announces_less",
                    "without_ranges",
                    "without_length",
                    "another_range",
                    "broken_chunks",
                    "no_http",
                    "hangs_up",
                ]
            ),
            st.none(),
        ),
        st.tuples(st.just("web_page"), st.sampled_from(["text/html", "application/zip"])),
    ),
    max_size=6,
)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(faults=FAULTS, known_size=st.booleans(), tag=st.sampled_from(['"one"', 'W/"one"', None]))
def test_whatever_the_server_does_the_file_is_right_or_absent(
    tmp_path_factory, web, behaviour, faults, known_size, tag
):
    target = tmp_path_factory.mktemp("any") / "file.bin"
    web.files["file.bin"], web.tag = BODY, tag
    web.behaves = [
        behaviour[name] if value is None else behaviour[name](value) for name, value in faults
    ]
    for _call in range(8):
        try:
            fetch(
                web.url("file.bin"),
                target,
                checksum=SHA256,
                size_bytes=len(BODY) if known_size else None,
                patience=QUICK,
            )
        except RunFailed as error:
            assert "\n" not in str(error)
            assert not target.exists()
        else:
            break
    assert_whole(target)  # the faults are used up: an honest server is always enough


def test_the_folder_must_exist_and_be_a_folder(web, tmp_path):
    with pytest.raises((RunFailed, OSError)):
        get(web, Path(tmp_path / "none" / "file.bin"))
