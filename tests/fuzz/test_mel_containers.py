"""Damaged files of many mels, of HDF5 and pictures: a mel of bounded size, or a one-line error."""

from __future__ import annotations

import io

import numpy as np
import pytest

from tests.fuzz.harness import MANY, damaged, fuzz, outcome
from torchmelinv.errors import FileError
from torchmelinv.io.mels import MelLayout, mel_entries, read_mel
from torchmelinv.io.picture_files import Picture

MEL = np.random.default_rng(0).random((20, 8), dtype=np.float32)
LAYOUT = MelLayout(picture=Picture(0, 1))


def hdf5(path) -> None:
    with pytest.importorskip("h5py").File(path, "w") as file:
        file.create_dataset("mel", data=MEL, compression="gzip")
        file["group/f0"] = MEL[0]


def kaldi(path) -> None:
    save_ark = pytest.importorskip("kaldiio").save_ark
    save_ark(str(path), {"a": MEL, "b": MEL})
    save_ark(str(path), {"c": MEL}, append=True, compression_method=2)


def tar(path) -> None:
    import tarfile

    stream = io.BytesIO()
    np.save(stream, MEL)
    with tarfile.open(path, "w") as archive:
        for name in ("a.npy", "b.npy"):
            member = tarfile.TarInfo(name)
            member.size = len(stream.getvalue())
            archive.addfile(member, io.BytesIO(stream.getvalue()))


def table():
    pyarrow = pytest.importorskip("pyarrow")
    return pyarrow, pyarrow.table({"id": ["a", "b"], "mel": [MEL.tolist(), MEL[1:].tolist()]})


def parquet(path) -> None:
    _, content = table()
    pytest.importorskip("pyarrow.parquet").write_table(content, path)


def arrow(path) -> None:
    pyarrow, content = table()
    with pyarrow.ipc.new_stream(str(path), content.schema) as writer:
        writer.write_table(content)


def picture(path) -> None:
    image = pytest.importorskip("PIL.Image")
    image.fromarray((255 * MEL).astype(np.uint8)).save(path)


WRITERS = {
    ".h5": hdf5,
    ".ark": kaldi,
    ".tar": tar,
    ".parquet": parquet,
    ".arrow": arrow,
    ".png": picture,
}


@MANY
# libhdf5 may wait for a minute at the end of a process that read damaged files.
@pytest.mark.parametrize(
    "suffix",
    [pytest.param(name, marks=pytest.mark.slow if name == ".h5" else ()) for name in WRITERS],
)
@pytest.mark.filterwarnings("ignore")  # of the libraries, about damage
def test_damaged_files(tmp_path, suffix, many):
    path = tmp_path / f"x{suffix}"
    WRITERS[suffix](path)
    content = path.read_bytes()
    read_all = read_everything(path)
    assert all(mel.numel() in (160, 152) for mel in read_all)
    path = tmp_path / f"y{suffix}"

    def check(case: bytes) -> None:
        path.write_bytes(case)
        result = outcome(lambda: read_everything(path))
        if isinstance(result, list):
            assert all(mel.nbytes <= 16 * len(case) + 2**20 for mel in result)
        else:
            assert isinstance(result, FileError)
            assert "\n" not in str(result)

    fuzz(check, damaged(content, 0 if len(content) < 2000 else 600), 60, many)


def read_everything(path):
    return [read_mel(entry.path, LAYOUT, entry) for entry in mel_entries(path, LAYOUT)]
