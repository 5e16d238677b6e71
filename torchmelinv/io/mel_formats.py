"""The formats of mel files by their suffixes. Needs no torch, for the help of the command line."""

from __future__ import annotations

__all__ = ["ARRAY_SUFFIXES", "KALDI_SUFFIXES", "MEL_SUFFIXES", "TABLE_SUFFIXES"]

# Files that hold arrays by name.
ARRAY_SUFFIXES = (".npy", ".npz", ".pt", ".pth", ".safetensors", ".h5", ".hdf5")
# Files of many mels, each of which has a name; Kaldi's are (n_frames, n_mels) by definition.
KALDI_SUFFIXES = (".ark", ".scp")
TABLE_SUFFIXES = (".parquet", ".arrow")
TAR_SUFFIX = ".tar"
PICTURE_SUFFIX = ".png"
MEL_SUFFIXES = (*ARRAY_SUFFIXES, *KALDI_SUFFIXES, *TABLE_SUFFIXES, TAR_SUFFIX, PICTURE_SUFFIX)
