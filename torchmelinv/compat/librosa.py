"""librosa's inversion by its own names and arguments, on arrays or tensors: array in, array out, tensor in, tensor out.

    from torchmelinv.compat.librosa import griffinlim, mel_to_audio, mel_to_stft, mfcc_to_audio, nnls

librosa is not imported. `griffinlim` is its recursion and takes the same random numbers, so that it gives the same signal to
rounding; the others answer the same question more closely. Tensors stay on their device and pass gradients. What cannot be
served, and values that are not finite, raise one `InputError`, a ValueError; where librosa is loaded it is its `ParameterError`,
too. Every function takes any leading dimensions, items of a batch do not see each other, and half precisions become float32.
"""

from __future__ import annotations

import functools
import math
import numbers
import sys
import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, DTypeLike
from torch import Tensor

from torchmelinv.analysis import root
from torchmelinv.conventions import FrameConvention, MelConvention
from torchmelinv.door import as_linear
from torchmelinv.errors import ConventionError, InputError
from torchmelinv.filterbank import LinearMap, MelFilterbank, mel_edges, mel_filters
from torchmelinv.interchange import PAD_MODES, window_of
from torchmelinv.joint.mel_consistent import USUAL_METHOD, MelConsistent
from torchmelinv.magnitude.entropic import entropic
from torchmelinv.magnitude.nnls import N_ITER
from torchmelinv.magnitude.nnls import nnls as least_squares
from torchmelinv.mfcc import inverse_dct
from torchmelinv.ops.checks import as_real, as_rows, check_number, check_whole
from torchmelinv.phase.griffin_lim import fast_griffin_lim
from torchmelinv.phase.retrieve import retrieve

F = TypeVar("F", bound=Callable[..., Any])
Array = Any  # a numpy array or a torch tensor


@functools.cache
def _also(error: type[Exception]) -> type[Exception]:
    return type("InputError", (InputError, error), {"__module__": InputError.__module__})


def _theirs(function: F) -> F:
    """Errors of this project that are librosa's `ParameterError`, too, where librosa is loaded."""

    @functools.wraps(function)
    def raising(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (ConventionError, InputError) as error:
            exceptions = sys.modules.get("librosa.util.exceptions")
            if exceptions is None or isinstance(error, exceptions.ParameterError):
                raise
            raise _also(exceptions.ParameterError)(str(error)) from None

    return cast(F, raising)


def _tensor(values: Array, name: str) -> Tensor:
    """The values as a tensor, integers as float32; `InputError` where any is not finite (devices are not asked)."""
    if not isinstance(values, Tensor):
        try:
            array = np.array(values, order="C")
            values = torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
        except (TypeError, ValueError):
            raise InputError(f"{name} is {type(values).__name__}; it must be an array of numbers or a tensor") from None
    if not (values.is_floating_point() or values.is_complex()):
        values = values.float()
    if values.device.type == "cpu" and not torch.isfinite(values).all():
        raise InputError(f"{name} holds values that are not finite; take them out (np.nan_to_num would) first")
    return values


def _like(result: Tensor, given: Array, dtype: DTypeLike | torch.dtype | None = None) -> Array:
    """The result as an array where an array was given, in that dtype."""
    if dtype is not None:
        result = result.to(dtype if isinstance(dtype, torch.dtype) else torch.from_numpy(np.empty(0, dtype)).dtype)
    return result if isinstance(given, Tensor) else result.detach().numpy()


def _unit(matrix: np.ndarray, norm: Any) -> np.ndarray:
    """Rows of non-negative numbers divided by their l_p norm, as far as it is above the smallest normal number."""
    if norm is None or norm == "slaney":
        return matrix
    if isinstance(norm, bool) or not isinstance(norm, (int, float, np.number)) or not (norm >= 0 or norm == -math.inf):
        raise InputError(f"norm is {norm!r}; it must be 'slaney', None, a number of at least 0, inf or -inf")
    size = np.linalg.norm(matrix, ord=cast(float, norm), axis=-1, keepdims=True) if norm else (matrix > 0).sum(-1, keepdims=True)
    return matrix / np.where(size < np.finfo(np.float32).tiny, 1, size)


def _filterbank(
    n_mels: int, sr: float, n_fft: int, *, fmin: float = 0.0, fmax: float | None = None, htk: bool = False, norm: Any = "slaney"
) -> MelFilterbank:
    """The matrix of `librosa.filters.mel`, whose frequencies may lie anywhere."""
    check_whole("n_fft", n_fft, 2)
    check_number("sr", sr, 1e-6)
    fmax = sr / 2 if fmax is None else fmax
    check_number("fmin", fmin, 0)
    if not fmin < fmax < math.inf:
        raise InputError(f"fmin is {fmin} and fmax {fmax}; fmin must be below fmax")
    bins = np.arange(n_fft // 2 + 1, dtype=np.float64) * (sr / n_fft)
    scale = "htk" if htk else "slaney"
    matrix = mel_filters(bins, mel_edges(n_mels, fmin, fmax, scale), scale, "slaney" if norm == "slaney" else None)
    return MelFilterbank(torch.from_numpy(_unit(matrix, norm)))


def _rows(values: Array, name: str) -> Tensor:
    """Real or complex values (…, rows ≥ 1, frames ≥ 1) as a tensor."""
    tensor = _tensor(values, name)
    if tensor.ndim < 2 or tensor.numel() == 0:
        raise InputError(f"{name} has shape {tuple(tensor.shape)}; it must be (…, rows ≥ 1, frames ≥ 1)")
    return tensor


@_theirs
def nnls(A: Array, B: Array, **kwargs: Any) -> Array:
    """`librosa.util.nnls`: A (m, n) of any signs, B (…, m, N) or (m,) -> X ≥ 0 (…, n, N) or (n,) of least ‖AX − B‖².

    FISTA in float64 from the clipped pseudo-inverse, each column until its optimality conditions hold; librosa stops far earlier.
    `maxiter` bounds the iterations; the numbers of a solver that does not run here raise an error. In A's dtype, and a vector
    given as an array in float64, as there. Gradients pass for B.
    """
    maxiter = kwargs.pop("maxiter", N_ITER)
    if kwargs:
        raise InputError(f"nnls takes no {', '.join(map(repr, kwargs))}: no L-BFGS-B runs here; maxiter bounds the iterations")
    check_whole("maxiter", maxiter, 0)
    matrix, target = as_real(_tensor(A, "A"), "A"), as_real(_tensor(B, "B"), "B")
    columns, basis = target[:, None] if target.ndim == 1 else target, LinearMap(matrix)
    if columns.ndim < 2 or columns.shape[-2] != basis.n_mels or columns.numel() == 0:
        rows = basis.n_mels
        raise InputError(f"B has shape {tuple(target.shape)}; beside this A it must be (…, {rows}, N ≥ 1) or ({rows},)")
    found = least_squares(columns.double(), basis, maxiter)
    if target.ndim == 1:
        return _like(found[..., 0], B, matrix.dtype if isinstance(B, Tensor) else None)
    return _like(found, B, matrix.dtype)


@_theirs
def mel_to_stft(M: Array, *, sr: float = 22050, n_fft: int = 2048, power: float = 2.0, **kwargs: Any) -> Array:
    """`librosa.feature.inverse.mel_to_stft`: mel (…, n_mels, n) -> magnitude ≥ 0 (…, 1 + n_fft // 2, n), in M's dtype.

    The entropic inverse, whose mel is M to 1e-5 where a spectrum has it; values below 0 count as 0. `power`: M is of
    |STFT|^power. `kwargs`: `fmin`, `fmax` in Hz, `htk`, `norm` of the filters.
    """
    check_number("power", power, 1e-3)
    mel = as_linear(as_real(_rows(M, "M"), "M"))
    return _like(root(entropic(mel, _filterbank(mel.shape[-2], sr, n_fft, **kwargs)), 2 / power), M)


def _frames(
    n_fft: int, hop_length: int | None, win_length: int | None, window: Any, center: bool, pad_mode: Any
) -> dict[str, Any]:
    """The fields of a frame convention for librosa's arguments."""
    check_whole("n_fft", n_fft, 2)
    if win_length is not None:
        check_whole("win_length", win_length, 1)
    length = n_fft if win_length is None else int(win_length)
    if center and not (isinstance(pad_mode, str) and pad_mode in PAD_MODES):
        raise InputError(f"pad_mode is {pad_mode!r}; it must be one of {', '.join(map(repr, PAD_MODES))}")
    return {
        "n_fft": n_fft, "hop_length": max(1, length // 4) if hop_length is None else hop_length, "win_length": length,
        "window": window_of(window, length), "padding": PAD_MODES[pad_mode] if center else "none",
    }


def _natural(convention: FrameConvention, n_frames: int, center: bool) -> int | None:
    """Samples that librosa's istft makes of so many frames; None where they are none."""
    samples = convention.n_fft + convention.hop_length * (n_frames - 1)
    return (samples - 2 * (convention.n_fft // 2) if center else samples) or None


@_theirs
def griffinlim(
    S: Array,
    *,
    n_iter: int = 32,
    hop_length: int | None = None,
    win_length: int | None = None,
    n_fft: int | None = None,
    window: str | tuple[Any, ...] | float | Callable[[int], ArrayLike] | ArrayLike = "hann",
    center: bool = True,
    dtype: DTypeLike | torch.dtype | None = None,
    length: int | None = None,
    pad_mode: str = "constant",
    momentum: float = 0.99,
    init: str | None = "random",
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
) -> Array:
    """`librosa.griffinlim`: magnitude S (…, 1 + n_fft // 2, frames) -> signal (…, samples) of dtype, by default S's own.

    Fast Griffin-Lim in the signal domain (Perraudin et al. 2013). `init` "random" starts with librosa's own phases for the same
    `random_state`; None with zero phases, or with those of a complex S. `pad_mode` is "constant" or "reflect". Samples that
    hardly a window reaches, at the ends without `center`, are tapered.
    """
    given = _rows(S, "S")
    if momentum > 1:
        warnings.warn(f"momentum is {momentum}; above 1 the iteration may not settle", stacklevel=3)
    start: str | Tensor = given.angle() if given.is_complex() else "zero"
    magnitude = as_real(given.abs(), "S")
    n_fft = 2 * (magnitude.shape[-2] - 1) if n_fft is None else n_fft
    convention = FrameConvention(**_frames(n_fft, hop_length, win_length, window, center, pad_mode))
    magnitude = as_rows(magnitude, "S", convention.n_freqs)
    if init == "random":
        angles = 2 * np.pi * _generator(random_state).random(size=tuple(magnitude.shape))
        start = torch.from_numpy(angles).to(magnitude.dtype).to(magnitude.device)
    elif init is not None:
        raise InputError(f"init is {init!r}; it must be 'random' or None")
    length = length or _natural(convention, magnitude.shape[-1], center)
    waveform = fast_griffin_lim(magnitude, convention, n_iter, momentum, start=start, length=length)
    return _like(waveform, S, dtype)


def _generator(random_state: Any) -> np.random.RandomState | np.random.Generator:
    if random_state is None:
        return np.random.default_rng()
    if isinstance(random_state, (np.random.RandomState, np.random.Generator)):
        return random_state
    if isinstance(random_state, numbers.Integral):
        return np.random.RandomState(int(random_state))
    raise InputError(f"random_state is {random_state!r}; it must be None, a whole number, or one of numpy's generators")


@_theirs
def mel_to_audio(
    M: Array,
    *,
    sr: float = 22050,
    n_fft: int = 2048,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: str | tuple[Any, ...] | float | Callable[[int], ArrayLike] | ArrayLike = "hann",
    center: bool = True,
    pad_mode: str = "constant",
    power: float = 2.0,
    n_iter: int = 32,
    length: int | None = None,
    dtype: DTypeLike | torch.dtype = np.float32,
    **kwargs: Any,
) -> Array:
    """`librosa.feature.inverse.mel_to_audio`: mel (…, n_mels, n) of |STFT|^power -> signal (…, samples) that has it.

    Not `griffinlim` of `mel_to_stft`, but the mel-consistent iteration from PGHI phases, what `MelInverter` does: closer in as
    many iterations, and the same each time. `kwargs` are those of `mel_to_stft`, the others those of `griffinlim`.
    """
    check_number("power", power, 1e-3)
    mel = as_linear(as_real(_rows(M, "M"), "M"))
    bank = _filterbank(mel.shape[-2], sr, n_fft, **kwargs)
    frames = _frames(n_fft, hop_length, win_length, window, center, pad_mode)
    convention = MelConvention(sample_rate=sr, n_mels=mel.shape[-2], power=power, **frames)
    wanted = MelConsistent().wanted(mel, bank, convention)
    length = length or _natural(convention, mel.shape[-1], center)
    magnitude = root(entropic(mel, bank), 2 / power)
    found = retrieve(USUAL_METHOD, magnitude, convention, n_iter, start="pghi", length=length, wanted=wanted)
    return _like(found.waveform, M, dtype)


@_theirs
def mfcc_to_mel(
    mfcc: Array, *, n_mels: int = 128, dct_type: int = 2, norm: str | None = "ortho", ref: float = 1.0, lifter: float = 0
) -> Array:
    """`librosa.feature.inverse.mfcc_to_mel`: MFCCs (…, n_mfcc, n) -> mel ≥ 0 (…, n_mels, n), ref · 10^(dB / 10).

    Missing coefficients count as 0, and so do those that the `lifter` has lost, which warn; librosa divides by 0 there.
    `dct_type` 1, 2 or 3, `norm` "ortho" or None, as scipy defines them.
    """
    given = as_real(_rows(mfcc, "mfcc"), "mfcc")
    check_number("lifter", lifter, 0)
    back = inverse_dct(n_mels, dct_type, norm)[:, : given.shape[-2]]
    if lifter:
        order = torch.arange(1, 1 + back.shape[-1], dtype=torch.float64)
        weights = 1 + lifter / 2 * (math.pi * order / lifter).sin()
        lost = weights.abs() < torch.finfo(given.dtype).eps
        if lost.any():
            warnings.warn(f"a lifter of {lifter} lost {int(lost.sum())} of the coefficients; they count as 0", stacklevel=3)
        back = back * torch.where(lost, 0, 1 / weights)
    decibel = back.to(given.dtype).to(given.device) @ given[..., : back.shape[-1], :]
    return _like(ref * 10 ** (decibel / 10), mfcc)


@_theirs
def mfcc_to_audio(
    mfcc: Array,
    *,
    n_mels: int = 128,
    dct_type: int = 2,
    norm: str | None = "ortho",
    ref: float = 1.0,
    lifter: float = 0,
    **kwargs: Any,
) -> Array:
    """`librosa.feature.inverse.mfcc_to_audio`: `mel_to_audio` with these `kwargs` of `mfcc_to_mel`; MFCCs (…, n_mfcc, n)."""
    return mel_to_audio(mfcc_to_mel(mfcc, n_mels=n_mels, dct_type=dct_type, norm=norm, ref=ref, lifter=lifter), **kwargs)
