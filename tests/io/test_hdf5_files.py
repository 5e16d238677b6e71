"""HDF5 files as h5py writes them; files that lead elsewhere or promise too much are refused."""

from __future__ import annotations

import numpy as np
import pytest

from torchmelinv.errors import FileError
from torchmelinv.io.mels import MelLayout, mel_entries, mel_shape, read_mel

h5py = pytest.importorskip("h5py")
MEL = np.random.default_rng(0).random((20, 8), dtype=np.float32)


def test_a_dump_of_parallel_wavegan(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["wave"], file["feats"] = np.zeros(100, dtype=np.float32), MEL
    layout = MelLayout(key="feats", frames_first=True)
    assert np.array_equal(read_mel(tmp_path / "x.h5", layout).numpy(), MEL.T)
    assert mel_shape(tmp_path / "x.h5", layout) == (8, 20)
    # The only array of two dimensions needs no key.
    assert np.array_equal(read_mel(tmp_path / "x.h5", MelLayout(frames_first=True)).numpy(), MEL.T)
    with pytest.raises(FileError, match="has no 'mel'; it holds 'feats', 'wave'"):
        read_mel(tmp_path / "x.h5", MelLayout(key="mel"))


def test_two_arrays_of_two_dimensions_need_a_key(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["wave"], file["feats"] = np.zeros((100, 1), dtype=np.float32), MEL
    with pytest.raises(FileError, match=r"'feats' \(20, 8\), 'wave' \(100, 1\).*--key NAME"):
        read_mel(tmp_path / "x.h5")


def test_many_mels_in_groups(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for index in range(3):
            file.create_dataset(f"u{index}/mel", data=MEL[index:], compression="gzip")
            file[f"u{index}/f0"] = np.zeros(3)
    layout = MelLayout(key="*/mel")
    entries = mel_entries(tmp_path / "x.h5", layout)
    assert [entry.name for entry in entries] == ["u0/mel", "u1/mel", "u2/mel"]
    found = read_mel(tmp_path / "x.h5", layout, entries[2])
    assert np.array_equal(found.numpy(), MEL[2:])


def write_hostile(name, path, other):
    with h5py.File(path, "w") as file:
        if name == "external link":
            file["mel"] = h5py.ExternalLink(str(other), "mel")
        elif name == "external storage":
            raw = other.with_suffix(".raw")
            raw.write_bytes(MEL.tobytes())
            file.create_dataset("mel", MEL.shape, "f4", external=[(str(raw), 0, MEL.nbytes)])
        elif name == "virtual":
            layout = h5py.VirtualLayout(MEL.shape, "f4")
            layout[:] = h5py.VirtualSource(str(other), "mel", MEL.shape)
            file.create_virtual_dataset("mel", layout)
        elif name == "never filled":
            file.create_dataset("mel", (10**6, 10**6), "f4", chunks=(1000, 1000))
        elif name == "compressed zeros":
            file.create_dataset("mel", (2**14, 2**13), "f4", chunks=(64, 2**13), compression="gzip")
            file["mel"][:64] = 0
        elif name == "large chunk":
            file.create_dataset("mel", (80, 9), "f4", chunks=(2**14, 2**13), maxshape=(None, None))
        elif name == "plugin":
            properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            properties.set_chunk(MEL.shape)
            properties.set_filter(32001, h5py.h5z.FLAG_OPTIONAL)
            space = h5py.h5s.create_simple(MEL.shape)
            h5py.h5d.create(file.id, b"mel", h5py.h5t.IEEE_F32LE, space, properties)
        elif name == "text":
            file["mel"] = "text"
        elif name == "objects":
            file["mel"] = h5py.Empty("f4")


@pytest.mark.parametrize(
    "name",
    [
        "external link",
        "external storage",
        "virtual",
        "never filled",
        "compressed zeros",
        "large chunk",
        "plugin",
        "text",
        "objects",
    ],
)
def test_files_that_lead_elsewhere_or_promise_too_much(tmp_path, name):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["mel"] = MEL
    write_hostile(name, tmp_path / "x.h5", tmp_path / "other.h5")
    with pytest.raises(FileError, match=r"holds|lie in other|expand|array of"):
        read_mel(tmp_path / "x.h5")
