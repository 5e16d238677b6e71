"""librosa's inversions with its names and arguments, for arrays and tensors::

    from torchmelinv.compat.librosa import griffinlim, mel_to_audio, mel_to_stft, nnls
    from torchmelinv.compat.librosa import mfcc_to_audio, mfcc_to_mel

Arrays give arrays, tensors give tensors, which stay on their device and pass gradients. All
functions take any leading dimensions. Items of a batch are independent; half precisions become
float32.

`griffinlim` is librosa's recursion with the same random numbers, so it gives the same signal to
rounding. `mel_to_audio` is the joint inversion of `MelInverter`. The other functions solve
librosa's problems more closely.

Unsupported arguments and values that are not finite raise an `InputError`, a ValueError; if librosa
is loaded, the error is also its `ParameterError`. librosa itself is not imported.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from torchmelinv._utils.numerics import safe_pow
from torchmelinv._utils.table_cache import to_device
from torchmelinv._utils.validation import check_features, check_number, check_real, check_whole
from torchmelinv._utils.warning import warn_caller
from torchmelinv.compat._librosa_arguments import (
    Array,
    DType,
    RandomState,
    Window,
    check_filter_options,
    default_length,
    like_input,
    make_filterbank,
    parameter_errors,
    random_angles,
    stft_fields,
    to_matrices,
    to_tensor,
)
from torchmelinv.conventions import MelConvention, STFTConvention
from torchmelinv.errors import InputError
from torchmelinv.magnitude.entropic import entropic
from torchmelinv.magnitude.nnls import N_ITER
from torchmelinv.magnitude.nnls import nnls as solve_nnls
from torchmelinv.phase.coarse_to_fine import CoarseToFine
from torchmelinv.phase.griffin_lim import GriffinLim
from torchmelinv.phase.reconstruct import LinearMel, reconstruct
from torchmelinv.transforms.mel_checks import clamp_linear_mel
from torchmelinv.transforms.mel_filterbank import LinearMap
from torchmelinv.transforms.mfcc import inverse_dct
from torchmelinv.transforms.stft import STFT

__all__ = ["griffinlim", "mel_to_audio", "mel_to_stft", "mfcc_to_audio", "mfcc_to_mel", "nnls"]


@parameter_errors
def nnls(A: Array, B: Array, **kwargs: Any) -> Array:
    """Solve min ‖AX − B‖², X ≥ 0, as `librosa.util.nnls`.

    FISTA in float64 from the clipped pseudo-inverse iterates on each column until its optimality
    conditions hold; librosa stops far earlier. Gradients pass for `B`.

    Args:
        A: Matrix (m, n) of any signs.
        B: Targets (…, m, N) or (m,).
        **kwargs: `maxiter`, the largest number of iterations. Other arguments of librosa's solver
            raise an error.

    Returns:
        X (…, n, N) or (n,), at least 0, in A's dtype; a vector given as an array in float64, as in
        librosa.

    Raises:
        InputError: If a shape, dtype, value or argument does not fit.

    Shape:
        - A: (m, n)
        - B: (…, m, N) or (m,)
        - output: (…, n, N) or (n,)

    References:
        A. Beck and M. Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear
        inverse problems", SIAM J. Imaging Sciences 2(1), 2009.

    Example:
        >>> import numpy as np
        >>> from torchmelinv.compat.librosa import nnls
        >>> nnls(np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([1.0, 3.0])).round(3)
        array([1., 2.])
    """
    maxiter = kwargs.pop("maxiter", N_ITER)
    if kwargs:
        names = ", ".join(map(repr, kwargs))
        raise InputError(
            f"nnls takes no {names}: it does not use L-BFGS-B; maxiter bounds the iterations"
        )
    check_whole("maxiter", maxiter, 0)
    matrix, target = check_real(to_tensor(A, "A"), "A"), check_real(to_tensor(B, "B"), "B")
    columns, linear_map = target[:, None] if target.ndim == 1 else target, LinearMap(matrix)
    n_rows = linear_map.n_mels
    if columns.ndim < 2 or columns.shape[-2] != n_rows or columns.numel() == 0:
        raise InputError(
            f"B has shape {tuple(target.shape)}; for this A it must be (…, {n_rows}, N ≥ 1) or "
            f"({n_rows},)"
        )
    result = solve_nnls(columns.double(), linear_map, maxiter)
    if target.ndim == 1:
        return like_input(result[..., 0], B, matrix.dtype if isinstance(B, Tensor) else None)
    return like_input(result, B, matrix.dtype)


@parameter_errors
def mel_to_stft(
    M: Array, *, sr: float = 22050, n_fft: int = 2048, power: float = 2.0, **kwargs: Any
) -> Array:
    """Find a magnitude for a mel, as `librosa.feature.inverse.mel_to_stft`.

    The result is the entropic inverse. On the CPU, its mel is `M` to 1e-5 if a spectrum has that
    mel.

    Args:
        M: Mel (…, n_mels, n) of |STFT|^power; values below 0 count as 0.
        sr: Sample rate in Hz.
        n_fft: Size of the FFT.
        power: Exponent of the mel's spectrum.
        **kwargs: `fmin` and `fmax` in Hz, `htk` and `norm` of the filters.

    Returns:
        Magnitude (…, 1 + n_fft // 2, n), at least 0, in the dtype of `M`.

    Raises:
        InputError: If a shape, dtype or value does not fit.

    Warns:
        MelValueWarning: If most values are negative.
        EmptyFilterWarning: If a filter is empty, as librosa warns.

    Shape:
        - M: (…, n_mels, n)
        - output: (…, 1 + n_fft // 2, n)

    Example:
        >>> import numpy as np
        >>> from torchmelinv.compat.librosa import mel_to_stft
        >>> mel_to_stft(np.random.rand(64, 20), n_fft=1024).shape
        (513, 20)
    """
    check_number("power", power, 1e-3)
    mel = clamp_linear_mel(check_real(to_matrices(M, "M"), "M"))
    check_filter_options("mel_to_stft", kwargs)
    filterbank = make_filterbank(mel.shape[-2], sr, n_fft, **kwargs)
    return like_input(safe_pow(entropic(mel, filterbank), 1 / power), M)


@parameter_errors
def griffinlim(
    S: Array,
    *,
    n_iter: int = 32,
    hop_length: int | None = None,
    win_length: int | None = None,
    n_fft: int | None = None,
    window: Window = "hann",
    center: bool = True,
    dtype: DType | None = None,
    length: int | None = None,
    pad_mode: str = "constant",
    momentum: float = 0.99,
    init: str | None = "random",
    random_state: RandomState | None = None,
    rng: RandomState | None = None,
) -> Array:
    """Invert a magnitude by fast Griffin-Lim, as `librosa.griffinlim`.

    The iteration is librosa's, computed in the signal domain. Samples covered by hardly any window,
    at the ends without `center`, are tapered.

    Args:
        S: Magnitude (…, 1 + n_fft // 2, frames).
        n_iter: Number of iterations, at least 0.
        hop_length: Hop in samples. Default: ``win_length // 4``.
        win_length: Length of the window in samples. Default: `n_fft`.
        n_fft: Size of the FFT. Default: the even one for the shape of `S`.
        window: Window, as in librosa.
        center: Whether frames are centered.
        dtype: Dtype of the result. Default: that of `S`.
        length: Number of output samples. Default: as many as `librosa.istft` returns.
        pad_mode: ``"constant"`` or ``"reflect"``.
        momentum: Momentum, at least 0. Above 1 the iteration may not settle, which warns.
        init: ``"random"``: the phases that librosa draws for the same `random_state` or `rng`.
            None: phases of 0, or those of a complex `S`.
        random_state: Seed of a `numpy.random.RandomState`, or a generator of numpy.
        rng: Seed of `numpy.random.default_rng`, or a generator of numpy, as in librosa 1.0. Give
            only one of the two.

    Returns:
        Signal (…, length).

    Raises:
        InputError: If a shape, dtype, value or name does not fit.

    Warns:
        UserWarning: If the momentum is above 1.

    Shape:
        - S: (…, 1 + n_fft // 2, frames)
        - output: (…, length)

    References:
        N. Perraudin, P. Balazs and P. L. Søndergaard, "A fast Griffin-Lim algorithm", WASPAA 2013.

    Example:
        >>> import numpy as np
        >>> from torchmelinv.compat.librosa import griffinlim
        >>> griffinlim(np.random.rand(257, 20), n_iter=4, random_state=0).shape
        (2432,)
    """
    spectrum = to_matrices(S, "S")
    if momentum > 1:
        warn_caller(f"momentum is {momentum}; above 1 the iteration may not settle")
    initial: str | Tensor = spectrum.angle() if spectrum.is_complex() else "zero"
    magnitude = check_real(spectrum.abs(), "S")
    n_fft = 2 * (magnitude.shape[-2] - 1) if n_fft is None else n_fft
    fields = stft_fields(n_fft, hop_length, win_length, window, center, pad_mode)
    convention = STFTConvention(**fields)
    magnitude = check_features(magnitude, "S", convention.n_freqs)
    if init == "random":
        angles = random_angles(tuple(magnitude.shape), random_state, rng)
        initial = to_device(angles, magnitude.dtype, magnitude.device)
    elif init is not None:
        raise InputError(f"init is {init!r}; it must be 'random' or None")
    length = length or default_length(convention, magnitude.shape[-1], center)
    method, stft = GriffinLim(momentum), STFT(convention)
    solution = reconstruct(method, magnitude, stft, n_iter, init=initial, length=length)
    return like_input(solution.waveform, S, dtype)


@parameter_errors
def mel_to_audio(
    M: Array,
    *,
    sr: float = 22050,
    n_fft: int = 2048,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Window = "hann",
    center: bool = True,
    pad_mode: str = "constant",
    power: float = 2.0,
    n_iter: int = 32,
    length: int | None = None,
    dtype: DType = np.float32,
    **kwargs: Any,
) -> Array:
    """Invert a mel to audio, as `librosa.feature.inverse.mel_to_audio`.

    It is not `griffinlim` of `mel_to_stft`, but the default method of `MelInverter`, from PGHI
    phases: closer to the mel in as many iterations, and deterministic.

    Args:
        M: Mel (…, n_mels, n) of |STFT|^power; values below 0 count as 0.
        sr: Sample rate in Hz.
        n_fft: Size of the FFT.
        hop_length: Hop in samples. Default: ``win_length // 4``.
        win_length: Length of the window in samples. Default: `n_fft`.
        window: Window, as in librosa.
        center: Whether frames are centered.
        pad_mode: ``"constant"`` or ``"reflect"``.
        power: Exponent of the mel's spectrum.
        n_iter: Number of iterations, at least 0.
        length: Number of output samples. Default: as many as `librosa.istft` returns.
        dtype: Dtype of the result.
        **kwargs: `fmin` and `fmax` in Hz, `htk` and `norm` of the filters.

    Returns:
        Signal (…, length).

    Raises:
        InputError: If a shape, dtype, value or name does not fit.

    Warns:
        MelValueWarning: If most values are negative.
        EmptyFilterWarning: If a filter is empty, as librosa warns.

    Shape:
        - M: (…, n_mels, n)
        - output: (…, length)

    Example:
        >>> import numpy as np
        >>> from torchmelinv.compat.librosa import mel_to_audio
        >>> mel_to_audio(np.random.rand(64, 20), n_fft=1024, n_iter=4).shape
        (4864,)
    """
    check_number("power", power, 1e-3)
    mel = clamp_linear_mel(check_real(to_matrices(M, "M"), "M"))
    n_mels = mel.shape[-2]
    check_filter_options("mel_to_audio", kwargs)
    filterbank = make_filterbank(n_mels, sr, n_fft, **kwargs)
    fields = stft_fields(n_fft, hop_length, win_length, window, center, pad_mode)
    convention = MelConvention(sample_rate=sr, n_mels=n_mels, power=power, **fields)
    solution = reconstruct(
        CoarseToFine(),
        safe_pow(entropic(mel, filterbank), 1 / power),
        STFT(convention),
        n_iter,
        length=length or default_length(convention, mel.shape[-1], center),
        mel=LinearMel(mel, filterbank, convention),
    )
    return like_input(solution.waveform, M, dtype)


@parameter_errors
def mfcc_to_mel(
    mfcc: Array,
    *,
    n_mels: int = 128,
    dct_type: int = 2,
    norm: str | None = "ortho",
    ref: float = 1.0,
    lifter: float = 0,
) -> Array:
    """Invert MFCCs to a mel, as `librosa.feature.inverse.mfcc_to_mel`.

    Missing coefficients count as 0. So do those whose lifter weight is 0, which warns; librosa
    divides by 0 there.

    Args:
        mfcc: MFCCs (…, n_mfcc, n).
        n_mels: Number of mel bands.
        dct_type: Type of the DCT: 1, 2 or 3.
        norm: ``"ortho"`` or None, as in scipy.
        ref: Power of 0 dB.
        lifter: Lifter, at least 0; 0 for none.

    Returns:
        Mel (…, n_mels, n), at least 0: ref · 10^(dB / 10).

    Raises:
        InputError: If a shape, dtype, value or name does not fit.

    Warns:
        UserWarning: If the lifter has lost a coefficient.

    Shape:
        - mfcc: (…, n_mfcc, n)
        - output: (…, n_mels, n)

    Example:
        >>> import numpy as np
        >>> from torchmelinv.compat.librosa import mfcc_to_mel
        >>> mfcc_to_mel(np.zeros((13, 20)), n_mels=40).shape
        (40, 20)
    """
    coefficients = check_real(to_matrices(mfcc, "mfcc"), "mfcc")
    check_number("lifter", lifter, 0)
    inverse = inverse_dct(n_mels, dct_type, norm)[:, : coefficients.shape[-2]]
    if lifter:
        order = torch.arange(1, 1 + inverse.shape[-1], dtype=torch.float64)
        weights = 1 + lifter / 2 * (math.pi * order / lifter).sin()
        lost = weights.abs() < torch.finfo(coefficients.dtype).eps
        if lost.any():
            warn_caller(
                f"a lifter of {lifter} lost {int(lost.sum())} of the coefficients; they count as 0"
            )
        inverse = inverse * torch.where(lost, 0, 1 / weights)
    inverse = to_device(inverse, coefficients.dtype, coefficients.device)
    decibels = inverse @ coefficients[..., : inverse.shape[-1], :]
    return like_input(ref * 10 ** (decibels / 10), mfcc)


@parameter_errors
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
    """Invert MFCCs to audio, as `librosa.feature.inverse.mfcc_to_audio`.

    It is `mel_to_audio` of `mfcc_to_mel`.

    Args:
        mfcc: MFCCs (…, n_mfcc, n).
        n_mels: Number of mel bands.
        dct_type: Type of the DCT: 1, 2 or 3.
        norm: ``"ortho"`` or None, as in scipy.
        ref: Power of 0 dB.
        lifter: Lifter, at least 0; 0 for none.
        **kwargs: Arguments of `mel_to_audio`.

    Returns:
        Signal (…, length).

    Raises:
        InputError: If a shape, dtype, value or name does not fit.

    Shape:
        - mfcc: (…, n_mfcc, n)
        - output: (…, length)

    Example:
        >>> import numpy as np
        >>> from torchmelinv.compat.librosa import mfcc_to_audio
        >>> mfcc_to_audio(np.zeros((13, 20)), n_mels=40, n_fft=1024, n_iter=4).shape
        (4864,)
    """
    mel = mfcc_to_mel(mfcc, n_mels=n_mels, dct_type=dct_type, norm=norm, ref=ref, lifter=lifter)
    return mel_to_audio(mel, **kwargs)
