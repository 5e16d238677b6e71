"""What containers hold: either byte order, several arrays, and headers against sizes. What lies is in `tests/fuzz`."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from torchmelinv.containers import most_bytes, npy_header, npy_shape, read_numpy, read_torch

MEL = np.arange(12, dtype=np.float32).reshape(3, 4)


def header(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def test_a_header_is_believed_only_with_its_bytes(tmp_path):
    content = header(MEL)
    assert npy_header(content, len(content)) == ((3, 4), np.dtype("f4"))
    with pytest.raises(ValueError, match=r"promises an array of shape \(3, 4\)"):
        npy_header(content, len(content) - 1)
    (tmp_path / "x.npy").write_bytes(content)
    assert npy_shape(tmp_path / "x.npy") == (3, 4)


def test_only_what_is_chosen_is_read(tmp_path):
    np.savez(tmp_path / "x.npz", a=MEL, b=MEL + 1, broken=np.array("text"))
    torch.save({"a": torch.from_numpy(MEL), "b": torch.from_numpy(MEL + 1), 3: "text"}, tmp_path / "x.pt")
    seen = {}

    def choose(names, shape):
        seen[len(seen)] = (list(names), shape("a"))
        return "b"

    for found in (read_numpy(tmp_path / "x.npz", choose), read_torch(tmp_path / "x.pt", choose)):
        assert torch.equal(found, torch.from_numpy(MEL + 1))
        found += 1  # memory of its own
    assert list(seen.values()) == [(["a", "b", "broken"], (3, 4)), (["a", "b", 3], (3, 4))]
    assert torch.equal(read_torch(tmp_path / "x.pt", choose), torch.from_numpy(MEL + 1))


def test_what_deflate_can_do_to_noise_and_an_hour_of_silence_is_allowed():
    hour = 80 * 86 * 3600 * 4  # bytes of a mel
    assert most_bytes(hour // 1000) > hour
    assert most_bytes(0) < 2**30
