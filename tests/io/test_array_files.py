"""Files of arrays: every format keeps the values, damaged files raise clear errors."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from torchmelinv.errors import FileError
from torchmelinv.io.mel_formats import ARRAY_SUFFIXES
from torchmelinv.io.mels import mel_shape, read_mel


@pytest.fixture
def mel():
    return torch.rand(8, 20)


def save_mel(path, mel):
    if path.suffix == ".npy":
        np.save(path, mel.numpy())
    elif path.suffix == ".npz":
        np.savez(path, mel=mel.numpy())
    elif path.suffix in (".h5", ".hdf5"):
        with pytest.importorskip("h5py").File(path, "w") as file:
            file["mel"] = mel.numpy()
    elif path.suffix == ".safetensors":
        pytest.importorskip("safetensors.torch").save_file({"mel": mel}, path)
    else:
        torch.save(mel, path)


@pytest.mark.parametrize("suffix", ARRAY_SUFFIXES)
@pytest.mark.parametrize("shape", [(8, 20), (1, 8, 20), (3, 8, 20)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_reading_keeps_shape_and_dtype(tmp_path, suffix, shape, dtype):
    mel = torch.rand(shape).to(dtype)
    save_mel(tmp_path / f"x{suffix}", mel)
    result = read_mel(tmp_path / f"x{suffix}")
    assert result.dtype == dtype
    assert torch.equal(result, mel)


def test_gradients_byte_orders_and_memory_layouts(tmp_path, mel):
    torch.save(mel.clone().requires_grad_(), tmp_path / "a.pt")
    np.save(tmp_path / "b.npy", mel.numpy().astype(">f4"))
    np.save(tmp_path / "c.npy", np.asfortranarray(mel.numpy()))
    np.save(tmp_path / "d.npy", mel.numpy().astype(np.longdouble))
    for name in ("a.pt", "b.npy", "c.npy", "d.npy"):
        result = read_mel(tmp_path / name)
        assert not result.requires_grad
        assert torch.equal(result.float(), mel)


class Anything:
    """An object that must never be unpickled."""


@pytest.mark.parametrize("content", [[torch.zeros(2), torch.zeros(3)], "text", {"mel": 3.0}])
def test_other_content_of_pt_files_raises(tmp_path, content):
    torch.save(content, tmp_path / "x.pt")
    with pytest.raises(FileError, match=r"not an array|exactly one array"):
        read_mel(tmp_path / "x.pt")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".pt"])
def test_pickled_objects_are_never_loaded(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    objects = np.array([{}, 1], dtype=object)
    if suffix == ".pt":
        torch.save({"mel": Anything()}, path)
    elif suffix == ".npy":
        np.save(path, objects, allow_pickle=True)
    else:
        np.savez(path, mel=objects)
    with pytest.raises(FileError, match="never loaded") as caught:
        read_mel(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ARRAY_SUFFIXES)
@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.95])
def test_truncated_files_raise(tmp_path, suffix, share):
    path = tmp_path / f"x{suffix}"
    save_mel(path, torch.rand(8, 100))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(FileError, match=rf"cannot be read as {suffix}"):
        read_mel(path)


@pytest.mark.parametrize("suffix", ARRAY_SUFFIXES)
def test_an_empty_file_is_named_so(tmp_path, suffix):
    path = tmp_path / f"x{suffix}"
    path.touch()
    with pytest.raises(FileError, match=rf"cannot be read as {suffix}: the file is empty"):
        read_mel(path)


def test_a_short_text_is_no_npy_file(tmp_path):
    path = tmp_path / "x.npy"
    path.write_text("hello")
    with pytest.raises(FileError, match="it does not begin as an npy file"):
        read_mel(path)


@pytest.mark.parametrize("suffix", ARRAY_SUFFIXES)
def test_text_raises(tmp_path, suffix):
    if suffix in (".safetensors", ".h5", ".hdf5"):
        pytest.importorskip("safetensors" if suffix == ".safetensors" else "h5py")
    path = tmp_path / f"x{suffix}"
    path.write_text("This is not a mel. " * 20)
    with pytest.raises(FileError, match=rf"cannot be read as {suffix}: \S"):
        read_mel(path)


def test_an_archive_with_the_wrong_suffix_is_read(tmp_path, mel):
    stream = io.BytesIO()
    np.savez(stream, mel=mel.numpy())
    (tmp_path / "x.npy").write_bytes(stream.getvalue())
    assert torch.equal(read_mel(tmp_path / "x.npy"), mel)


@pytest.mark.parametrize("suffix", ARRAY_SUFFIXES)
def test_the_shape_is_read_alone(tmp_path, suffix):
    save_mel(tmp_path / f"x{suffix}", torch.rand(3, 8, 20))
    assert mel_shape(tmp_path / f"x{suffix}") == (3, 8, 20)
    (tmp_path / f"y{suffix}").write_text("This is not a mel. " * 20)
    with pytest.raises(FileError, match="cannot be read"):
        mel_shape(tmp_path / f"y{suffix}")
