"""The list of the mels of a file: names by a pattern, and no reading where none is needed."""

from __future__ import annotations

import numpy as np
import pytest

from torchmelinv.errors import FileError
from torchmelinv.io.entry import MelEntry
from torchmelinv.io.mel_entries import mel_entries
from torchmelinv.io.mel_layout import MelLayout
from torchmelinv.io.mels import read_mel


def test_a_pattern_selects_the_mels_of_a_file(tmp_path):
    path, layout = tmp_path / "x.npz", MelLayout(key="mel_?")
    np.savez(path, mel_a=np.zeros((8, 3)), f0=np.zeros(3), mel_b=np.ones((8, 4)))
    entries = mel_entries(path, layout)
    assert entries == [MelEntry(path, "mel_a"), MelEntry(path, "mel_b")]
    assert [tuple(read_mel(path, layout, entry).shape) for entry in entries] == [(8, 3), (8, 4)]
    with pytest.raises(FileError, match=r"has no 'log\*'; it holds 'mel_a', 'f0', 'mel_b'"):
        mel_entries(path, MelLayout(key="log*"))


def test_a_file_of_one_mel_is_not_read(tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes(b"damaged")
    assert mel_entries(path) == [MelEntry(path)]
    with pytest.raises(FileError, match=r"cannot be read as \.npz"):
        mel_entries(path, MelLayout(key="*"))
