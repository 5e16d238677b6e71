"""Translation of librosa's arguments, arrays and errors."""

from __future__ import annotations

import functools
import math
import numbers
import sys
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, DTypeLike
from torch import Tensor

from torchmelinv._utils.validation import check_number, check_whole
from torchmelinv.conventions import STFTConvention
from torchmelinv.conventions._arguments import PAD_MODES
from torchmelinv.conventions.librosa import window_of
from torchmelinv.errors import ConventionError, InputError
from torchmelinv.transforms.mel_filterbank import (
    MelFilterbank,
    mel_edges,
    mel_filters,
    warn_of_empty_filters,
)

F = TypeVar("F", bound=Callable[..., Any])

Array = Any  # a numpy array or a torch tensor
Window = str | tuple[Any, ...] | float | Callable[[int], ArrayLike] | ArrayLike
DType = DTypeLike | torch.dtype
RandomState = int | np.random.RandomState | np.random.Generator


@functools.cache
def _input_error(error: type[Exception]) -> type[Exception]:
    """Return an `InputError` that is also another error."""
    return type("InputError", (InputError, error), {"__module__": InputError.__module__})


def parameter_errors(function: F) -> F:
    """Decorate a function: its errors are also librosa's `ParameterError` if librosa is loaded."""

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (ConventionError, InputError) as error:
            exceptions = sys.modules.get("librosa.util.exceptions")
            if exceptions is None or isinstance(error, exceptions.ParameterError):
                raise
            raise _input_error(exceptions.ParameterError)(str(error)) from None

    return cast(F, wrapper)


def to_tensor(values: Array, name: str) -> Tensor:
    """Return the values as a tensor, integers as float32.

    Values that are not finite are refused, except on an accelerator, where they are not read.
    """
    if not isinstance(values, Tensor):
        try:
            array = np.array(values, order="C")
            values = torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
        except (TypeError, ValueError):
            raise InputError(
                f"{name} is {type(values).__name__}; it must be an array of numbers or a tensor"
            ) from None
    if not (values.is_floating_point() or values.is_complex()):
        values = values.float()
    if values.device.type == "cpu" and not torch.isfinite(values).all():
        raise InputError(
            f"{name} holds values that are not finite; replace them first, as np.nan_to_num does"
        )
    return values


def to_matrices(values: Array, name: str) -> Tensor:
    """Return real or complex values (…, rows ≥ 1, frames ≥ 1) as a tensor."""
    tensor = to_tensor(values, name)
    if tensor.ndim < 2 or tensor.numel() == 0:
        raise InputError(
            f"{name} has shape {tuple(tensor.shape)}; it must be (…, rows ≥ 1, frames ≥ 1)"
        )
    return tensor


def like_input(result: Tensor, values: Array, dtype: DType | None = None) -> Array:
    """Return the result as an array if the input was an array, in the dtype if one is given."""
    if dtype is not None:
        if not isinstance(dtype, torch.dtype):
            dtype = torch.from_numpy(np.empty(0, dtype)).dtype
        result = result.to(dtype)
    return result if isinstance(values, Tensor) else result.detach().numpy()


def _normalize(matrix: np.ndarray, norm: Any) -> np.ndarray:
    """Return non-negative rows divided by their l_p norm; rows with a norm near 0 as they are."""
    if norm is None or norm == "slaney":
        return matrix
    is_number = isinstance(norm, (int, float, np.number)) and not isinstance(norm, bool)
    if not is_number or not (norm >= 0 or norm == -math.inf):
        raise InputError(f"norm is {norm!r}; it must be 'slaney', None, a number ≥ 0, inf or -inf")
    if norm == 0:
        size = (matrix > 0).sum(-1, keepdims=True)
    else:
        size = np.linalg.norm(matrix, ord=norm, axis=-1, keepdims=True)
    return matrix / np.where(size < np.finfo(np.float32).tiny, 1, size)


def check_filter_options(function: str, options: dict[str, Any]) -> None:
    """Raise librosa's TypeError for keyword arguments that the filters do not have."""
    known = ("fmin", "fmax", "htk", "norm")
    for name in options:
        if name not in known:
            raise TypeError(
                f"{function}() got an unexpected keyword argument {name!r}; "
                f"its filters have {', '.join(known)}"
            )


@functools.lru_cache(maxsize=16)
def _shared_filterbank(values: bytes, shape: tuple[int, int]) -> MelFilterbank:
    """Return the filterbank of a matrix in float64; calls share one, with its tables on devices."""
    return MelFilterbank(torch.from_numpy(np.frombuffer(values).reshape(shape).copy()))


def make_filterbank(
    n_mels: int,
    sr: float,
    n_fft: int,
    *,
    fmin: float = 0.0,
    fmax: float | None = None,
    htk: bool = False,
    norm: Any = "slaney",
) -> MelFilterbank:
    """Return the filterbank of `librosa.filters.mel`, for any frequencies."""
    check_whole("n_fft", n_fft, 2)
    check_number("sr", sr, 1e-6)
    fmax = sr / 2 if fmax is None else fmax
    check_number("fmin", fmin, 0)
    if not fmin < fmax < math.inf:
        raise InputError(f"fmin is {fmin} and fmax {fmax}; fmin must be below fmax")
    bins = np.arange(n_fft // 2 + 1, dtype=np.float64) * (sr / n_fft)
    scale = "htk" if htk else "slaney"
    edges = mel_edges(n_mels, fmin, fmax, scale)
    matrix = mel_filters(bins, edges, scale, "slaney" if norm == "slaney" else None)
    # As in librosa, filters that begin at 0 Hz do not count.
    empty = (matrix.max(1) == 0) & (edges[:-2] > 0)
    warn_of_empty_filters(int(empty.sum()), n_mels, len(bins))
    matrix = _normalize(matrix, norm)
    return _shared_filterbank(matrix.tobytes(), matrix.shape)


def stft_fields(
    n_fft: int,
    hop_length: int | None,
    win_length: int | None,
    window: Window,
    center: bool,
    pad_mode: Any,
) -> dict[str, Any]:
    """Return the fields of an `STFTConvention` for librosa's arguments."""
    check_whole("n_fft", n_fft, 2)
    if win_length is not None:
        check_whole("win_length", win_length, 1)
    length = n_fft if win_length is None else int(win_length)
    if center and not (isinstance(pad_mode, str) and pad_mode in PAD_MODES):
        allowed = ", ".join(map(repr, PAD_MODES))
        raise InputError(f"pad_mode is {pad_mode!r}; it must be one of {allowed}")
    return {
        "n_fft": n_fft,
        "hop_length": max(1, length // 4) if hop_length is None else hop_length,
        "win_length": length,
        "window": window_of(window, length),
        "padding": PAD_MODES[pad_mode] if center else "none",
    }


def default_length(convention: STFTConvention, n_frames: int, center: bool) -> int | None:
    """Return the number of samples that librosa's istft makes of the frames; None if it is 0."""
    samples = convention.n_fft + convention.hop_length * (n_frames - 1)
    return (samples - 2 * (convention.n_fft // 2) if center else samples) or None


def random_angles(
    shape: tuple[int, ...], random_state: RandomState | None, rng: RandomState | None
) -> Tensor:
    """Return the angles in float64 that librosa draws for the same `random_state` or `rng`.

    An integer `rng` seeds `numpy.random.default_rng`, an integer `random_state` a `RandomState`.
    """
    if random_state is not None and rng is not None:
        raise InputError("random_state and rng are given; give one of them")
    name, seed = ("random_state", random_state) if rng is None else ("rng", rng)
    generator: np.random.RandomState | np.random.Generator
    if isinstance(seed, (np.random.RandomState, np.random.Generator)):
        generator = seed
    elif seed is None or (name == "rng" and isinstance(seed, numbers.Integral) and seed >= 0):
        generator = np.random.default_rng(seed)
    elif name == "random_state" and isinstance(seed, numbers.Integral):
        generator = np.random.RandomState(int(seed))
    else:
        raise InputError(
            f"{name} is {seed!r}; it must be None, an integer, or one of numpy's generators"
        )
    return torch.from_numpy(2 * np.pi * generator.random(size=shape))
