"""Writes leave no partial file, and searches in folders are sorted."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from torchmelinv.errors import FileError, FileWarning
from torchmelinv.io.paths import atomic_write, existing_file, find_files


@pytest.mark.parametrize("failure", [KeyboardInterrupt, ValueError, OSError])
def test_a_failed_write_leaves_no_partial_file(tmp_path, failure):
    path = tmp_path / "deep" / "x.wav"
    path.parent.mkdir()
    path.write_text("before")

    def write():
        with atomic_write(path) as temporary:
            temporary.write_text("half of")
            assert temporary.parent == path.parent
            assert temporary.suffix == ".wav"
            raise failure

    with pytest.raises((failure, FileError)):
        write()
    assert path.read_text() == "before"
    assert list(path.parent.iterdir()) == [path]


def test_the_temporary_file_may_be_in_another_folder(tmp_path):
    path, folder = tmp_path / "a" / "x.txt", tmp_path / "b"
    with atomic_write(path, folder) as temporary:
        temporary.write_text("content")
        assert temporary.parent == folder
        assert not path.exists()
    assert path.read_text() == "content"
    assert list(folder.iterdir()) == []


def test_files_are_found_in_order(tmp_path):
    for name in ("b/y.npy", "a.NPZ", "b/c/x.pt", "readme.txt", ".hidden.npy", ".cache/z.npy"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    paths = find_files(tmp_path, (".npy", ".npz", ".pt"))
    names = [str(path.relative_to(tmp_path)) for path in paths]
    assert names == ["a.NPZ", "b/c/x.pt", "b/y.npy"]


def test_existing_file(tmp_path):
    (tmp_path / "x").touch()
    assert existing_file(str(tmp_path / "x")) == tmp_path / "x"
    for path, message in (
        (tmp_path, "is a folder"),
        (tmp_path / "absent", "does not exist"),
        (tmp_path / ("x" * 5000), "does not exist"),
    ):
        with pytest.raises(FileError, match=message):
            existing_file(path)


def test_a_folder_on_another_disk(tmp_path, monkeypatch):
    replace = os.replace

    def across_disks(source, target):
        if Path(source).parent.parent != Path(target).parent:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        replace(source, target)

    monkeypatch.setattr(os, "replace", across_disks)
    with atomic_write(tmp_path / "mounted" / "x.txt", tmp_path / ".staging") as temporary:
        temporary.write_text("content")
    assert (tmp_path / "mounted" / "x.txt").read_text() == "content"
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["x.txt"]


@pytest.mark.parametrize("kind", ["scandir", "access"])
def test_folders_that_cannot_be_read_are_named(tmp_path, monkeypatch, kind):
    """As for another user than root: it can neither list nor enter them."""
    for name in ("a.npy", "secret/b.npy", "open/c.npy"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    original = getattr(os, kind)

    def refuse(path, *arguments):
        if os.path.basename(path) == "secret" and kind == "access":
            return False
        if os.path.basename(path) == "secret":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return original(path, *arguments)

    monkeypatch.setattr(os, kind, refuse)
    with pytest.warns(FileWarning, match="left out: .*secret"):
        paths = find_files(tmp_path, (".npy",))
    assert {"a.npy", "c.npy"} <= {path.name for path in paths}
