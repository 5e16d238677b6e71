"""WebDataset archives as the webdataset library writes them, and archives that are damaged."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest
import torch

from torchmelinv.errors import FileError
from torchmelinv.io.mels import MelLayout, mel_entries, read_mel

MELS = [np.random.default_rng(n).random((8, 20 + n), dtype=np.float32) for n in range(3)]


def write(path, samples):
    webdataset = pytest.importorskip("webdataset")
    with webdataset.TarWriter(str(path)) as writer:
        for sample in samples:
            writer.write(sample)


def test_samples_of_the_webdataset_library(tmp_path):
    samples = [
        {"__key__": f"train/{n:04}", "mel.npy": mel, "txt": "hello", "json": {"id": n}}
        for n, mel in enumerate(MELS)
    ]
    write(tmp_path / "x.tar", samples)
    entries = mel_entries(tmp_path / "x.tar")
    assert [entry.name for entry in entries] == ["train/0000", "train/0001", "train/0002"]
    for entry, mel in zip(entries, MELS, strict=True):
        assert np.array_equal(read_mel(tmp_path / "x.tar", MelLayout(), entry).numpy(), mel)


def test_tensors_and_several_fields(tmp_path):
    samples = [
        {"__key__": str(n), "target.pth": torch.from_numpy(mel), "f0.npy": mel[0]}
        for n, mel in enumerate(MELS)
    ]
    write(tmp_path / "x.tar", samples)
    with pytest.raises(FileError, match=r"in '.*', '.*'; choose one by its key"):
        mel_entries(tmp_path / "x.tar")
    layout = MelLayout(key="target.pth")
    entry = mel_entries(tmp_path / "x.tar", layout)[1]
    assert np.array_equal(read_mel(tmp_path / "x.tar", layout, entry).numpy(), MELS[1])
    with pytest.raises(FileError, match=r"has no 'mel.npy'; it holds"):
        mel_entries(tmp_path / "x.tar", MelLayout(key="mel.npy"))


def test_archives_that_are_damaged_or_lead_elsewhere(tmp_path):
    path = tmp_path / "x.tar"
    content = io.BytesIO()
    np.save(content, MELS[0])
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
        with tarfile.open(path, "w") as archive:
            member = tarfile.TarInfo("a.mel.npy")
            member.type, member.linkname = kind, str(tmp_path / "secret.npy")
            archive.addfile(member)
        with pytest.raises(FileError, match=r"nothing|holds"):
            mel_entries(path)
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo("../../a.mel.npy")
        member.size = len(content.getvalue())
        archive.addfile(member, io.BytesIO(content.getvalue()))
    (entry,) = mel_entries(path)
    assert np.array_equal(read_mel(path, MelLayout(), entry).numpy(), MELS[0])
    for end in (100, 600, 800):
        path.write_bytes(path.read_bytes()[:end])
        with pytest.raises(FileError):
            read_mel(path, MelLayout(), mel_entries(path)[0])
    assert [each.name for each in tmp_path.iterdir()] == ["x.tar"]
