"""Each suffix of a mel file has a reader, and only those that need a package name one."""

from __future__ import annotations

import sys

import pytest

from torchmelinv.errors import DependencyError, FileError
from torchmelinv.io.entry import MelEntry
from torchmelinv.io.mel_formats import ARRAY_SUFFIXES, MEL_SUFFIXES
from torchmelinv.io.mels import mel_entries, read_mel


@pytest.mark.parametrize("suffix", MEL_SUFFIXES)
def test_each_suffix_has_a_reader(tmp_path, suffix):
    path = tmp_path / f"x{suffix.upper()}"
    path.write_bytes(b"\0" * 600)
    with pytest.raises(FileError, match=rf"x{suffix.upper()} (cannot be read|is a picture|holds)"):
        read_mel(path)
    if suffix in ARRAY_SUFFIXES:
        assert mel_entries(path) == [MelEntry(path)]


def test_missing_safetensors_is_named(tmp_path, monkeypatch):
    (tmp_path / "x.safetensors").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(DependencyError, match="pip install safetensors"):
        read_mel(tmp_path / "x.safetensors")
