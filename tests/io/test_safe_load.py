"""Readers of arrays compare headers with sizes and read the chosen array alone.

Files that are made to harm are in `tests/fuzz`.
"""

from __future__ import annotations

import io
import warnings
import zipfile

import numpy as np
import pytest
import torch

from torchmelinv.io.safe_load import most_bytes, npy_header, npy_shape, read_numpy
from torchmelinv.io.torch_files import read_torch

MEL = np.arange(12, dtype=np.float32).reshape(3, 4)


def npy_bytes(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_a_header_that_promises_more_than_the_file_holds_raises(tmp_path):
    content = npy_bytes(MEL)
    assert npy_header(content, len(content)) == ((3, 4), np.dtype("f4"))
    with pytest.raises(ValueError, match=r"too short for the array of shape \(3, 4\)"):
        npy_header(content, len(content) - 1)
    (tmp_path / "x.npy").write_bytes(content)
    assert npy_shape(tmp_path / "x.npy") == (3, 4)


def test_only_the_chosen_array_is_read(tmp_path):
    np.savez(tmp_path / "x.npz", a=MEL, b=MEL + 1, broken=np.array("text"))
    tensors = {"a": torch.from_numpy(MEL), "b": torch.from_numpy(MEL + 1), 3: "text"}
    torch.save(tensors, tmp_path / "x.pt")
    calls = []

    def choose(names, shape):
        calls.append((list(names), shape("a")))
        return "b"

    for result in (read_numpy(tmp_path / "x.npz", choose), read_torch(tmp_path / "x.pt", choose)):
        assert torch.equal(result, torch.from_numpy(MEL + 1))
        result += 1  # the result has memory of its own
    assert calls == [(["a", "b", "broken"], (3, 4)), (["a", "b"], (3, 4))]  # not the text
    assert torch.equal(read_torch(tmp_path / "x.pt", choose), torch.from_numpy(MEL + 1))


def test_an_hour_of_compressed_silence_is_allowed():
    hour = 80 * 86 * 3600 * 4  # bytes of a mel
    assert most_bytes(hour // 1000) > hour
    assert most_bytes(0) < 2**30


def test_entries_of_one_name_are_refused(tmp_path):
    for name in ("mel.npy", "mel"):
        np.savez(tmp_path / "x.npz", mel=MEL)
        with zipfile.ZipFile(tmp_path / "x.npz", "a") as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            archive.writestr(name, npy_bytes(MEL + 1))
        with pytest.raises(ValueError, match=r"the key .* twice"):
            read_numpy(tmp_path / "x.npz", lambda names, shape: names[0])
