"""Safetensors files: the chosen tensor alone, headers that lie, files that change."""

from __future__ import annotations

import json

import pytest
import torch

from tests.io.changing import read_while_it_changes
from torchmelinv.errors import FileError
from torchmelinv.io.mels import read_mel

safetensors_torch = pytest.importorskip("safetensors.torch")


@pytest.mark.parametrize("change", ["os.truncate(path, 200)", "path.write_bytes(b'x')"])
def test_a_file_that_changes_meanwhile(tmp_path, change):
    path = tmp_path / "x.safetensors"
    safetensors_torch.save_file({"mel": torch.ones(8, 100_000), "other": torch.zeros(3)}, path)
    assert "changed while it was read" in read_while_it_changes(path, change)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.int32])
def test_every_dtype_is_read(tmp_path, dtype):
    mel = torch.arange(12).reshape(3, 4).to(dtype)
    tensors = {"a": torch.zeros(7), "mel": mel, "z": torch.zeros(2, 2)}
    safetensors_torch.save_file(tensors, tmp_path / "x.safetensors", metadata={"made": "here"})
    result = read_mel(tmp_path / "x.safetensors")
    assert result.dtype == dtype
    assert torch.equal(result, mel)


def entry(start=0, stop=8, shape=(2,), **others):
    return {"dtype": "F32", "shape": list(shape), "data_offsets": [start, stop], **others}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"mel": entry(), "b": entry(4, 8)}, "overlap or leave gaps"),
        ({"mel": entry(), "b": entry(10, 12)}, "overlap or leave gaps"),
        ({"mel": entry(-8, 8)}, "overlap or leave gaps"),
        ({"mel": entry(0, 4)}, "promises 4 bytes"),
        ({"mel": entry(0, 2**62)}, "promises"),
        ({"mel": entry(shape=(3,))}, "Error|header"),
        ({"mel": entry(shape=(2**62,))}, "Error|header"),
        ({"mel": entry(dtype="X9")}, "Error|header|variant"),
        ({"mel": entry("0", "8")}, "overlap or leave gaps"),
        ({"mel": {}}, "damaged"),
        ({"mel": None}, "damaged"),
        ([1], "no table"),
        ('{"mel": 1, "mel": 2}', "'mel' twice"),
        ("[" * 5000, "nested too deeply|cannot be read"),
    ],
)
def test_headers_that_lie(tmp_path, header, message):
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(8))
    with pytest.raises(FileError, match=message):
        read_mel(path)
