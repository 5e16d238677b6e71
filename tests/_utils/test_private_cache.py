"""Files that only this user may have written: what is read, what is refused."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from torchmelinv._utils import private_cache
from torchmelinv._utils.private_cache import cache_folder, read_private, write_private

pytestmark = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs owners of files")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "cache" / "file"
    write_private(path, b"text")
    return path


def test_what_is_written_is_read(file):
    assert read_private(file) == b"text"
    write_private(file, b"other")
    assert read_private(file) == b"other"
    assert [each.name for each in file.parent.iterdir()] == ["file"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_what_others_may_write_is_refused(file, mode):
    file.chmod(mode)
    with pytest.raises(PermissionError, match="chmod go-w"):
        read_private(file)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_folder_that_others_may_write_is_refused(file, mode):
    file.parent.chmod(mode)
    for use in (lambda: read_private(file), lambda: write_private(file, b"")):
        with pytest.raises(PermissionError, match="other users may write"):
            use()


@pytest.mark.parametrize("of_file", [True, False])
def test_what_belongs_to_others_is_refused(file, monkeypatch, of_file):
    check = private_cache._check_owner

    def owner_of_one(name, status):
        values = list(status)
        if (name == file) == of_file:
            values[4] += 1  # the owner
        check(name, os.stat_result(values))

    monkeypatch.setattr(private_cache, "_check_owner", owner_of_one)
    with pytest.raises(PermissionError, match="belongs to another user"):
        read_private(file)


def test_links_pipes_folders_and_large_files_are_refused(file):
    link, pipe, folder = (file.with_name(name) for name in ("link", "pipe", "folder"))
    link.symlink_to(file)
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (link, pipe, folder, file.with_name("missing")):
        with pytest.raises(OSError):  # noqa: PT011
            read_private(path)
    with pytest.raises(OSError, match="more than 3 bytes"):
        read_private(file, 3)


def test_a_failed_write_leaves_the_file_as_it_was(file, monkeypatch):
    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        write_private(file, b"new")
    assert [each.name for each in file.parent.iterdir()] == ["file"]
    assert read_private(file) == b"text"


def test_a_reader_sees_a_whole_file(file):
    texts = [bytes([letter]) * 100_000 for letter in b"ab"]
    write_private(file, texts[0])
    writer = threading.Thread(
        target=lambda: [write_private(file, texts[number % 2]) for number in range(50)]
    )
    writer.start()
    while writer.is_alive():
        assert read_private(file) in texts
    writer.join()


def test_the_folder(monkeypatch):
    monkeypatch.setenv("TORCHMELINV_CACHE", "here")
    assert cache_folder() == Path("here")
    monkeypatch.delenv("TORCHMELINV_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/torchmelinv")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/user")
    assert cache_folder() == Path("/home/user/.cache/torchmelinv")

    def no_home(self):
        raise RuntimeError

    monkeypatch.setattr(Path, "expanduser", no_home)
    assert cache_folder() is None


@pytest.mark.parametrize("value", ["", "relative/cache"])
def test_a_folder_that_is_no_absolute_path_does_not_count(monkeypatch, tmp_path, value):
    monkeypatch.delenv(private_cache.ENVIRONMENT_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "torchmelinv"
