"""Errors of a disk that takes no file, and checks before any work."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from tests.full_disk import full_disk  # noqa: F401
from torchmelinv.errors import DiskError, FileError
from torchmelinv.io.audio import write_audio
from torchmelinv.io.disk_errors import check_writable, write_error
from torchmelinv.io.mels import write_mel


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, DiskError), (errno.EROFS, DiskError), (errno.EACCES, FileError)],
)
def test_full_and_read_only_disks_have_an_error_of_their_own(number, kind):
    error = write_error("out/x.wav", OSError(number, os.strerror(number)))
    assert type(error) is kind
    assert str(error).startswith(f"out/x.wav cannot be written: {os.strerror(number)}")
    assert write_error("y", error) is error


@pytest.mark.parametrize("name", ["x.wav", "x.flac", "x.npy"])
def test_a_full_disk_is_named(full_disk, name):  # noqa: F811
    noise = torch.rand(8, 200_000)

    def write(path):
        return write_mel(path, noise) if path.suffix == ".npy" else write_audio(path, noise, 8000)

    with pytest.raises(DiskError, match="No space left on device"):
        write(full_disk / name)
    assert list(full_disk.iterdir()) == []


def test_nothing_is_created_by_the_check(tmp_path):
    check_writable(tmp_path / "deep" / "x.png")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for name in ("file/x.png", "file/deep/x.png", "folder"):
        with pytest.raises(FileError, match=r"cannot be written: (Not|Is) a directory"):
            check_writable(tmp_path / name)


def test_a_folder_without_permission(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write anywhere
    with pytest.raises(FileError, match="Permission denied"):
        check_writable(tmp_path / "x.png")


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs Linux")
def test_a_read_only_disk(tmp_path, monkeypatch):
    status = os.statvfs(tmp_path)
    values = list(status)
    values[8] |= os.ST_RDONLY
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(values))
    with pytest.raises(DiskError, match="Read-only"):
        check_writable(tmp_path / "x.png")
