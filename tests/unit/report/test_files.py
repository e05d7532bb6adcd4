"""Files are whole or not there, and what can't be written is refused before any work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from thirdsentry_pipeline.domain.errors import InputError, ThirdSentryError
from thirdsentry_pipeline.report import files
from thirdsentry_pipeline.report.files import (
    writable_file,
    writable_folder,
    write_folder,
    write_whole,
)


def test_file_is_written_and_replaced(tmp_path):
    path = writable_file(tmp_path / "report.html")
    write_whole(path, b"first")
    write_whole(path, b"second")
    assert path.read_bytes() == b"second"
    assert list(tmp_path.iterdir()) == [path]


def test_file_gets_the_permissions_that_new_files_get(tmp_path):
    umask = os.umask(0o027)
    try:
        write_whole(tmp_path / "report.html", b"x")
    finally:
        os.umask(umask)
    assert (tmp_path / "report.html").stat().st_mode & 0o777 == 0o640


def test_symbolic_link_is_followed_and_kept(tmp_path):
    (tmp_path / "link.html").symlink_to(tmp_path / "target.html")
    write_whole(writable_file(tmp_path / "link.html"), b"x")
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "target.html").read_bytes() == b"x"


def test_interrupted_write_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_bytes(b"before")

    def interrupt(_descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(files.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_whole(path, b"after")
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_is_one_sentence_and_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_bytes(b"before")

    def refuse(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", refuse)
    with pytest.raises(ThirdSentryError, match=r"no space left on device.*--out") as caught:
        write_whole(path, b"after")
    assert caught.value.exit_code == 1
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (".", "is a directory"),
        ("no/such/report.html", "does not exist"),
        ("/dev/null", "not a regular file"),
        ("a\0b", "no path that can be written"),
    ],
)
def test_place_that_can_hold_no_file_is_refused(tmp_path, name, sentence):
    with pytest.raises(InputError, match=sentence):
        writable_file(tmp_path / name)


def test_folder_without_permission_is_refused(tmp_path, monkeypatch):
    # As root every folder can be written to, so the system's answer is played.
    monkeypatch.setattr(files.os, "access", lambda *_: False)
    with pytest.raises(InputError, match="can't be written to"):
        writable_file(tmp_path / "report.html")


def test_folder_is_written_at_once(tmp_path):
    path = writable_folder(tmp_path / "marts")
    write_folder(path, {"a.csv": b"1", "b.csv": b"2"})
    assert {one.name: one.read_bytes() for one in path.iterdir()} == {"a.csv": b"1", "b.csv": b"2"}
    assert list(tmp_path.iterdir()) == [path]


def test_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "marts").mkdir()
    write_folder(writable_folder(tmp_path / "marts"), {"a.csv": b"1"})
    assert (tmp_path / "marts" / "a.csv").read_bytes() == b"1"


def test_folder_with_something_in_it_or_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="is not empty"):
        writable_folder(tmp_path)
    with pytest.raises(InputError, match="is a file"):
        writable_folder(tmp_path / "file")


def test_folder_that_fails_halfway_leaves_nothing(tmp_path, monkeypatch):
    written = []

    def refuse_the_second(path, content):
        written.append(path)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        with path.open("wb") as file:
            file.write(content)

    monkeypatch.setattr(Path, "write_bytes", refuse_the_second)
    with pytest.raises(ThirdSentryError, match="no space left"):
        write_folder(tmp_path / "marts", {"a.csv": b"1", "b.csv": b"2"})
    assert list(tmp_path.iterdir()) == []
