"""A file that is too large for the memory is an error of that file."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.sparse import save_sparse
from torchmelinv.errors import FileError
from torchmelinv.io import memory
from torchmelinv.io.audio import read_audio, write_audio
from torchmelinv.io.mels import read_mel
from torchmelinv.io.memory import check_memory, memory_errors


@pytest.mark.parametrize("suffix", [".npy", ".safetensors", ".pt", ".wav"])
def test_a_sparse_file_is_refused(tmp_path, suffix):
    path = save_sparse(tmp_path / f"x{suffix}")
    with pytest.raises(FileError, match=r"too large|truncated") as caught:
        (read_audio if suffix == ".wav" else read_mel)(path)
    assert str(path) in str(caught.value)


def test_what_is_allocated_is_compared_with_what_is_available(tmp_path, monkeypatch):
    """The allocation alone would succeed; the system would end the process as it fills it."""
    write_audio(tmp_path / "x.wav", torch.zeros(1000), 8000)
    monkeypatch.setattr(memory, "available_memory", lambda: 1000.0)
    monkeypatch.setattr(memory, "_SMALL", 0)
    np.save(tmp_path / "x.npy", np.zeros((8, 100), dtype=np.float32))
    np.savez(tmp_path / "x.npz", np.zeros((8, 100), dtype=np.float32))
    torch.save(torch.zeros(8, 100), tmp_path / "x.pt")
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(FileError, match=r"x\.\w+ is too large: it takes .* GB"):
            (read_audio if path.suffix == ".wav" else read_mel)(path)
    with pytest.raises(FileError, match=r"y\.wav is too large: it takes .* GB"):
        write_audio(tmp_path / "y.wav", torch.zeros(1000), 8000)
    assert not (tmp_path / "y.wav").exists()


def test_only_memory_errors_are_turned_into_ours():
    def allocate_in_torch():
        torch.empty(2**50, dtype=torch.float64)

    def allocate_in_numpy():
        np.empty(2**50)

    def fail():
        raise RuntimeError("a bug")

    for work in (allocate_in_torch, allocate_in_numpy):
        message = r"x\.npy is too large for the available memory"
        with pytest.raises(FileError, match=message), memory_errors("x.npy"):
            work()
    with pytest.raises(RuntimeError, match="a bug"), memory_errors("x.npy"):
        fail()


def test_small_files_are_not_compared(monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 0.0)
    check_memory("x.npy", 2**20)


def test_of_a_large_file_only_the_chosen_tensor_counts(tmp_path):
    mel = np.arange(40, dtype="<f4")
    header = {
        "mel": {"dtype": "F32", "shape": [8, 5], "data_offsets": [0, 160]},
        "weights": {"dtype": "F32", "shape": [2**40], "data_offsets": [160, 160 + 2**42]},
    }
    text = json.dumps(header).encode()
    path = tmp_path / "x.safetensors"
    with path.open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text + mel.tobytes())
        start = stream.tell()
        stream.truncate(start + 2**42)
    assert read_mel(path).flatten().tolist() == mel.tolist()
