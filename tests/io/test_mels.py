"""Mel files: what is written can be read, paths that hold no mel raise clear errors."""

from __future__ import annotations

import pytest
import torch

from torchmelinv.errors import FileError
from torchmelinv.io.mel_formats import MEL_SUFFIXES
from torchmelinv.io.mels import find_mels, read_mel, write_mel


def test_written_mels_can_be_read(tmp_path):
    mel = torch.rand(8, 20)
    write_mel(tmp_path / "deep" / "x.npy", mel.requires_grad_())
    assert torch.equal(read_mel(tmp_path / "deep" / "x.npy"), mel)


def test_wrong_paths_and_suffixes_raise(tmp_path):
    (tmp_path / "x.csv").touch()
    (tmp_path / "x").touch()
    for path, message in (
        (tmp_path / "x.csv", "'.csv'; mels are read from .npy .npz"),
        (tmp_path / "x", "no suffix"),
        (tmp_path, "is a folder"),
        (tmp_path / "none.npy", "does not exist"),
    ):
        with pytest.raises(FileError, match=message):
            read_mel(path)


def test_mels_are_found_by_their_suffixes(tmp_path):
    for suffix in (*MEL_SUFFIXES, ".txt", ".wav"):
        (tmp_path / f"x{suffix}").touch()
    assert [path.name for path in find_mels(tmp_path)] == sorted(
        f"x{suffix}" for suffix in MEL_SUFFIXES if suffix not in (".scp", ".png")
    )
