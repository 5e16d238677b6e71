"""Datasets of HDF5 files, treated as untrusted input: see `safe_load`.

Links to other files are never followed, nor are datasets whose values lie in other files.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from torchmelinv._utils.optional import require
from torchmelinv.io.memory import check_memory
from torchmelinv.io.plain_files import Member, open_plain, stream_size
from torchmelinv.io.safe_load import Choose, most_bytes, native_tensor

_MOST_NAMES = 1_000_000


def _names(group: Any) -> list[str]:
    """Return the paths of all datasets, by hard links alone."""
    names: list[str] = []
    h5py = require("h5py", "hdf5")

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            names.append(name)
        if len(names) > _MOST_NAMES:
            raise ValueError(f"it holds more than {_MOST_NAMES} datasets")

    group.visititems(visit)
    return names


def _needs_plugin(dataset: Any) -> bool:
    """Return whether a filter is none of the library's own, but a shared library to be loaded."""
    filters = require("h5py", "hdf5").h5z
    properties = dataset.id.get_create_plist()
    codes = {properties.get_filter(index)[0] for index in range(properties.get_nfilters())}
    return any(code > filters.FILTER_RESERVED for code in codes - {filters.FILTER_LZF})


def read_hdf5(path: Path | Member, choose: Choose) -> Tensor:
    """Read a dataset of an HDF5 file."""
    h5py = require("h5py", "hdf5")
    if isinstance(path, Member):
        raise ValueError("HDF5 files are not read from within other files")
    with open_plain(path) as stream:  # no pipe, no device
        size = stream_size(stream)
    with h5py.File(path, "r", locking=False) as file:
        name = choose(_names(file), lambda name: tuple(file[name].shape or ()))
        dataset = file[name]
        if dataset.is_virtual or dataset.external or _needs_plugin(dataset):
            raise ValueError(
                f"the values of {name[:100]!r} lie in other files or need a plugin; copy them"
            )
        if dataset.dtype.kind not in "fiuc":
            raise ValueError(f"{name[:100]!r} is an array of {str(dataset.dtype)[:100]}")
        n_values = max(math.prod(shape or ()) for shape in (dataset.shape, dataset.chunks))
        n_bytes = n_values * dataset.dtype.itemsize  # a chunk is read as a whole
        if n_bytes > most_bytes(size):
            raise ValueError(f"it would expand to {n_bytes:.3g} bytes, too many for its size")
        check_memory(path, n_bytes)
        return native_tensor(np.asarray(dataset[()]))
