"""The formats of mel files by their suffixes. Needs no torch, for the help of the command line."""

from __future__ import annotations

from pathlib import Path

from torchmelinv._utils.optional import require
from torchmelinv.errors import FileError

__all__ = ["ARRAY_SUFFIXES", "KALDI_SUFFIXES", "MEL_SUFFIXES", "TABLE_SUFFIXES"]

# Files that hold arrays by name.
ARRAY_SUFFIXES = (".npy", ".npz", ".pt", ".pth", ".safetensors", ".h5", ".hdf5")
# Files of many mels, each of which has a name; Kaldi's are (n_frames, n_mels) by definition.
KALDI_SUFFIXES = (".ark", ".scp")
TABLE_SUFFIXES = (".parquet", ".arrow")
TAR_SUFFIX = ".tar"
PICTURE_SUFFIX = ".png"
MEL_SUFFIXES = (*ARRAY_SUFFIXES, *KALDI_SUFFIXES, *TABLE_SUFFIXES, TAR_SUFFIX, PICTURE_SUFFIX)
# suffix: (module that must load before the file is read, the extra that installs it)
_PACKAGES = {
    ".safetensors": ("safetensors", None),
    ".h5": ("h5py", "hdf5"),
    ".hdf5": ("h5py", "hdf5"),
    ".parquet": ("pyarrow", "arrow"),
    ".arrow": ("pyarrow", "arrow"),
    ".png": ("PIL.Image", "images"),
}


def known_suffix(path: Path) -> str:
    """Return the suffix of a file that can be read; its package must load."""
    suffix = path.suffix.lower()
    if suffix not in MEL_SUFFIXES:
        came = f"ends in {path.suffix!r}" if path.suffix else "has no suffix"
        raise FileError(f"{path} {came}; mels are read from {' '.join(MEL_SUFFIXES)} files")
    if suffix in _PACKAGES:
        require(*_PACKAGES[suffix])
    return suffix
