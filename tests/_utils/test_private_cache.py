"""Cached files count only if nobody but this user may have written them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from torchmelinv._utils import private_cache
from torchmelinv._utils.private_cache import cache_folder, read_private, write_private

unix = pytest.mark.skipif(os.name == "nt", reason="owners and modes of Unix")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "new" / "cache" / "x"
    assert write_private(path, b"content")
    return path


def test_what_is_written_is_read(path):
    assert read_private(path) == b"content"
    assert write_private(path, b"other")
    assert read_private(path) == b"other"
    assert list(path.parent.iterdir()) == [path]
    assert read_private(path.parent / "y") is None


@unix
def test_nobody_else_may_read_or_write_it(path):
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


@unix
@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_a_file_that_others_may_write_is_replaced(path, mode):
    path.chmod(mode)
    assert read_private(path) is None
    assert write_private(path, b"other")
    assert read_private(path) == b"other"


@unix
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_folder_that_others_may_write(path, mode):
    path.parent.chmod(mode)
    assert read_private(path) is None
    assert not write_private(path, b"other")
    assert path.read_bytes() == b"content"
    assert list(path.parent.iterdir()) == [path]


@unix
def test_a_folder_that_others_may_read(path):
    path.parent.chmod(0o755)
    path.chmod(0o644)
    assert read_private(path) == b"content"


@unix
def test_files_of_another_user(path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert read_private(path) is None
    assert not write_private(path, b"other")


@unix
def test_links_are_not_followed(path, tmp_path):
    (tmp_path / "link").symlink_to(path.parent)
    assert read_private(tmp_path / "link" / "x") is None
    assert not write_private(tmp_path / "link" / "x", b"other")
    (path.parent / "y").symlink_to("x")
    assert read_private(path.parent / "y") is None
    assert write_private(path.parent / "y", b"other")
    assert (read_private(path), read_private(path.parent / "y")) == (b"content", b"other")


@unix
def test_a_pipe_does_not_block(path):
    os.mkfifo(path.parent / "y")
    assert read_private(path.parent / "y") is None


def test_a_folder_that_cannot_be_made(path):
    assert not write_private(path / "below", b"")
    assert read_private(path / "below") is None
    (path.parent / "folder").mkdir()
    assert not write_private(path.parent / "folder", b"")
    assert read_private(path.parent / "folder") is None
    assert sorted(each.name for each in path.parent.iterdir()) == ["folder", "x"]


def test_a_full_disk_leaves_no_part(path, monkeypatch):
    class Full:
        def __init__(self, descriptor, _):
            os.close(descriptor)

        def __enter__(self):
            raise OSError(28, "No space left on device")

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(private_cache.os, "fdopen", Full)
    assert not write_private(path, b"other")
    assert read_private(path) == b"content"
    assert list(path.parent.iterdir()) == [path]


def test_the_folder(monkeypatch, tmp_path):
    for name in ("TORCHMELINV_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert cache_folder() == Path.home() / ".cache" / "torchmelinv"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path.home() / ".cache" / "torchmelinv"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "torchmelinv"
    monkeypatch.setenv("TORCHMELINV_CACHE", "~/mine")
    assert cache_folder() == Path.home() / "mine"


@pytest.mark.parametrize("value", ["", "~nobody-of-this-name/cache"])
def test_a_user_without_a_home(monkeypatch, value):
    monkeypatch.setenv("TORCHMELINV_CACHE", value)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert cache_folder() is None
