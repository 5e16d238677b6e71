"""Mean and scale of each band from the files of other projects, as `--stats` takes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from torchmelinv.errors import FileError
from torchmelinv.io.array_files import read_arrays
from torchmelinv.io.paths import existing_file

__all__ = ["read_band_statistics"]

_PICKLES = (".joblib", ".pkl", ".pickle")
_LEAST_VARIANCE = 1e-20  # of ESPnet
_MEANS = ("mean", "mean_", "mel_mean", "mu")
_SCALES = ("scale", "scale_", "std", "mel_std", "sigma")
_VARIANCES = ("var", "var_", "variance")


def read_band_statistics(path: str | Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Read mean and scale of each band, with which a mel was normalized: (x − mean) / scale.

    The file holds arrays of n_mels numbers: mean and scale (ParallelWaveGAN's ``stats.h5``), mean
    and std or var, or count, sum and sum_square (ESPnet's ``feats_stats.npz``); or a single array
    (2, n_mels) of mean and scale, such as ParallelWaveGAN's ``stats.npy``.

    Args:
        path: An npy, npz, pt, pth, safetensors, h5 or hdf5 file.

    Returns:
        Mean and scale, (n_mels,) each.

    Raises:
        FileError: If the file cannot be read, or holds other arrays.
        DependencyError: If the file needs a package that cannot be loaded.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> from torchmelinv.io.statistics_files import read_band_statistics
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "stats.npy")
        ...     np.save(path, np.array([[1.0, 2.0], [3.0, 4.0]]))
        ...     mean, scale = read_band_statistics(path)
        >>> scale.tolist()
        [3.0, 4.0]
    """
    path = existing_file(path)
    if path.suffix.lower() in _PICKLES:
        raise FileError(
            f"{path} is a pickle, which is never loaded: it could run any code. In the program "
            "that made it, save plain numbers: np.save('stats.npy', "
            "np.stack([scaler.mean_, scaler.scale_]))"
        )
    arrays = {name.rpartition("/")[2]: array for name, array in read_arrays(path).items()}
    mean, scale = _mean_and_scale(path, arrays)
    if mean.ndim != 1 or mean.shape != scale.shape:
        raise FileError(
            f"{path} has a mean of shape {mean.shape} and a scale of shape {scale.shape}; both "
            "must be (n_mels,)"
        )
    return mean, scale


def _mean_and_scale(
    path: Path, arrays: dict[str, NDArray[Any]]
) -> tuple[NDArray[Any], NDArray[Any]]:
    def find(names: Sequence[str]) -> NDArray[Any] | None:
        return next((arrays[name].squeeze() for name in names if name in arrays), None)

    if {"count", "sum", "sum_square"} <= arrays.keys():
        count = float(arrays["count"].sum())
        mean = arrays["sum"] / count
        variance = arrays["sum_square"] / count - mean**2
        return mean, np.sqrt(np.maximum(variance, _LEAST_VARIANCE))
    mean_array, scale, variance_array = find(_MEANS), find(_SCALES), find(_VARIANCES)
    if mean_array is not None and scale is not None:
        return mean_array, scale
    if mean_array is not None and variance_array is not None:
        return mean_array, np.sqrt(np.maximum(variance_array, _LEAST_VARIANCE))
    if len(arrays) == 1:
        (array,) = arrays.values()
        if array.ndim == 2 and len(array) == 2:
            return array[0], array[1]
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "nothing"
    raise FileError(
        f"{path} holds {shapes}; it must hold mean and scale (or std, or var), or count, sum and "
        "sum_square, or one array (2, n_mels) of mean and scale"
    )
