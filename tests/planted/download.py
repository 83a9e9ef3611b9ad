"""Defects of the downloads, and of how the command line meets a full disk."""

from __future__ import annotations

from planted.defect import of

_fetch = of("data/fetch.py", "tests/data/test_fetch.py")
_unpack = of("data/unpack.py", "tests/data/test_unpack.py")
_download = of("data/download.py", "tests/data/test_download.py")
_addresses = of("data/addresses.py", "tests/data/test_download.py")
_verb = of("cli/data.py", "tests/cli/test_download_verb.py")
_config = of("config.py", "tests/cli/test_wrong_use.py")
_cache = of("data/cache.py", "tests/cli/test_full_disk.py")

_DISK = "test_a_disk_that_takes_no_more_is_one_sentence_and_nothing_is_half_written"

DEFECTS = [
    _fetch(
        'headers["Range"] = f"bytes={have}-"',
        "pass",
        "a broken download goes on where it broke",
        "test_a_broken_download_goes_on_where_it_broke",
    ),
    _fetch(
        'headers["If-Range"] = self.validator',
        "pass",
        "a part of a file that has changed is not gone on with",
        "test_a_file_that_has_changed_is_begun_anew",
    ),
    _fetch(
        "if not known or not (self.validator or checksum):",
        "if not known:",
        "without a version and a checksum a part is not trusted",
        "test_without_a_version_and_a_checksum_a_part_is_not_trusted",
    ),
    _fetch(
        'known = version is not None and version["url"] == url',
        "known = version is not None",
        "a part of another address is not gone on with",
        "test_a_part_of_another_address_is_not_gone_on_with",
    ),
    _fetch(
        "have = 0  # the whole file",
        "pass  # the whole file",
        "a server that knows no ranges sends the whole file",
        "test_a_server_without_ranges_sends_the_whole_file_again",
    ),
    _fetch(
        "if mismatches == 2 or before == 0:",
        "if True:",
        "a damaged part is fetched once more",
        "test_a_damaged_part_is_found_and_fetched_once_more",
    ),
    _fetch(
        "return None if found == self.checksum else found",
        "return None",
        "a wrong checksum is refused",
        "test_a_wrong_checksum_is_told_and_nothing_stays",
    ),
    _fetch(
        "if expected is not None and self.have < expected:",
        "if False:",
        "a file that broke off is not taken for whole",
        "test_a_broken_download_goes_on_where_it_broke",
    ),
    _fetch(
        "expected = self.size_bytes if self.size_bytes is not None else announced",
        "expected = announced",
        "a known size counts, whatever length is announced",
        "test_an_announced_length_that_is_too_short_is_seen_where_the_size_is_known",
    ),
    _fetch(
        "if total == have and self.size_bytes is None:",
        "if False:",
        "416 means that all is there",
        "test_an_announced_length_that_is_too_long_is_asked_about",
    ),
    _fetch(
        "if done > (self.size_bytes or LIMIT_BYTES):",
        "if False:",
        "more bytes than expected are refused",
        "test_more_bytes_than_expected_are_refused",
        "test_a_file_without_a_size_is_bounded",
    ),
    _fetch(
        "if failures >= patience.tries:",
        "if failures > patience.tries:",
        "tries are bounded",
        "test_tries_are_bounded_and_their_pauses_grow",
    ),
    _fetch(
        "failures = 1 if part.have - before >= CHUNK_BYTES else failures + 1",
        "failures = 1 if part.have > before else failures + 1",
        "a server that drips is left",
        "test_tries_that_bring_little_are",
    ),
    _fetch(
        "patience.pause_s * 2 ** (failures - 1)",
        "patience.pause_s",
        "pauses grow",
        "test_tries_are_bounded_and_their_pauses_grow",
    ),
    _fetch(
        "opener.open(request, timeout=timeout_s)",
        "opener.open(request)",
        "a server that stalls is left",
        "test_a_server_that_stalls_is_left",
    ),
    _fetch(
        'if req.type == "https" and scheme == "http":',
        "if False:",
        "encryption is never given up",
        "test_encryption_is_never_given_up",
    ),
    _fetch(
        'if response.headers.get_content_type() == "text/html":',
        "if False:",
        "a web page is not taken for the file, by its type",
        "test_a_web_page_is_not_taken_for_the_file",
    ),
    _fetch(
        'startswith((b"<!doctype html", b"<html"))',
        'startswith(b"nothing")',
        "a web page is not taken for the file, by its first words",
        "test_a_web_page_is_not_taken_for_the_file",
    ),
    _fetch(
        "max_redirections = REDIRECTS",
        "max_redirections = 12",
        "redirects are bounded",
        "test_redirects_in_circles_end",
    ),
    _fetch(
        "if needed > free:",
        "if False:",
        "a file larger than the disk is not begun",
        "test_a_file_larger_than_the_disk_is_not_begun",
    ),
    _fetch(
        "os.replace(self.path, self.target)",
        "self.target.write_bytes(self.path.read_bytes())",
        "nothing but the file stays",
        "test_a_file_arrives_under_its_name_and_nothing_else_stays",
    ),
    _unpack(
        'path.is_absolute() or ".." in path.parts or',
        "path.is_absolute() or",
        "a name with .. is refused",
        "test_a_name_that_leads_out_is_refused_and_nothing_stays",
    ),
    _unpack(
        'path.is_absolute() or ".." in path.parts or',
        '".." in path.parts or',
        "an absolute name is refused",
        "test_a_name_that_leads_out_is_refused_and_nothing_stays",
    ),
    _unpack(
        'if member.kind != "file":',
        "if False:",
        "links are refused",
        "test_links_are_refused",
    ),
    _unpack(
        "if room < 0:",
        "if False:",
        "what unpacks to far more than its size is refused",
        "test_what_unpacks_to_far_more_than_its_size_is_refused",
    ),
    _unpack(
        "        shutil.rmtree(folder, ignore_errors=True)",
        "        pass",
        "nothing half unpacked stays",
        "test_an_archive_without_a_path_is_refused_and_the_others_do_not_stay",
    ),
    _unpack(
        "    for left in workplace",
        "    for left in [] and workplace",
        "a folder left by a killed call goes",
        "test_a_folder_left_by_a_killed_call_goes",
    ),
    _unpack(
        "if count > FILES:",
        "if False:",
        "too many files are refused",
        "test_too_many_files_are_refused",
    ),
    _unpack(
        '(0,) if path.parts[:1] == ("__MACOSX",) else (0, 1)',
        "(0, 1)",
        "macOS's shadow files stay packed",
        "tests/data/test_download.py",
    ),
    _download(
        "records.compare(part, archive, sha256)",
        "pass",
        "a file without a published checksum is compared with its first download",
        "test_a_download_without_a_published_checksum_is_remembered_and_compared",
    ),
    _download(
        "records.add(part, sha256, archive.stat().st_size)",
        "pass",
        "the first download is remembered",
        "test_a_download_without_a_published_checksum_is_remembered_and_compared",
    ),
    _download(
        "        archive.unlink(missing_ok=True)  # else",
        "        pass  # else",
        "a damaged archive is deleted",
        "test_a_damaged_archive_is_deleted_and_told",
    ),
    _download(
        "if own and not archive.is_file():",
        "if own:",
        "an archive that found no room is not fetched again",
        "test_an_archive_that_found_no_room_is_unpacked_by_the_next_call",
    ),
    _download(
        "any(path.iterdir()) if path.is_dir() else path.exists()",
        "path.exists()",
        "an empty folder is not taken for the data",
        "test_an_empty_folder_is_not_taken_for_the_data",
    ),
    _download(
        "(place, *part.elsewhere.get(place, ()))",
        "(place,)",
        "captions where the reader finds them are there",
        "test_captions_where_the_reader_finds_them_are_there",
    ),
    _download(
        "if found != part.checksum:",
        "if False:",
        "an archive that lies there is verified",
        "test_an_archive_that_lies_there_is_verified",
    ),
    _download(
        "for folder in [*reversed(made), *reversed(folders[1:])]:",
        "for folder in []:",
        "a failure leaves no empty folders",
        "test_a_failure_leaves_no_empty_folders",
    ),
    _addresses(
        '"sha256:4903e94206bac23bf772aadf06451916df56b58fc483a62db32a97b82656651d"',
        '"sha256:4903e94206bac23bf772aadf06451916df56b58fc483a62db32a97b8265665"',
        "a checksum is written in full",
        "test_an_address_is_written_in_full",
    ),
    _addresses(
        '{"text": "text"}',
        '{"text": "texts"}',
        "captions come where the reader looks for them",
        "test_birds_come_to_the_folder_that_the_reader_reads",
    ),
    _verb(
        "done = fetch_all(name, root, year, bar)",
        "done = fetch_all(name, root, None, bar)",
        "the year reaches the addresses",
        "test_wrong_use_is_one_sentence_and_writes_nothing",
    ),
    of("nested.py", "tests/cli/test_wrong_use.py")(
        "    except (ValueError, RecursionError):  # no TOML",
        "    except tomllib.TOMLDecodeError:  # no TOML",
        "a setting of thousands of digits is refused in a sentence",
    ),
    _cache(
        "        _reserve(unfinished)\n",
        "",
        "a full disk does not kill the process by its mapped file",
        _DISK,
    ),
    of("files.py", "tests/cli/test_full_disk.py")(
        "discard(part.name)\n        _remove(part)\n",
        "discard(part.name)\n",
        "a report that found no room leaves no part",
        _DISK,
    ),
]
