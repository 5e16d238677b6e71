"""The inputs of the CUDA kernels: the frames of signals, and the mel of their spectra."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Layout(NamedTuple):
    """Signals (items, n_samples) and their frames.

    Frame j has the samples j · hop_length − left + (0…n_fft−1).
    """

    n_fft: int
    hop_length: int
    left: int  # samples of padding before the first sample
    n_frames: int
    n_samples: int
    reflect: bool  # the padding mirrors the signal, as often as needed; otherwise it is 0
    window: Tensor  # (n_fft,)
    # 1 / (n_fft Σ w²), 0 where no window reaches; (n_samples,) or (items, n_samples).
    inverse_sumsquare: Tensor
    # Samples of each item, (items,) int32; None if all have n_samples. Signals are 0 after them.
    n_valid: Tensor | None

    @property
    def n_freqs(self) -> int:
        return self.n_fft // 2 + 1


class MelUpdate(NamedTuple):
    """The multiplicative updates of `phase/mel_target.py`, for filters that fit `mel_update.py`.

    From s = max(|c|² + offset, floor)^(power / 2), `inner_iter` times

        r_j = min(m_j / (Ms)_j, largest_ratio),    g_k = Σ_j shares_kj r_j,    s_k ← s_k g_k,

    and then c ← c · min((g₁ g₂ …)^exponent, largest_gain). After the last band comes one more for
    the free part of the bins, which no filter determines; its ratio is 1 in frames that are not
    silent.
    """

    values: Tensor  # m, (items, frames, n_mels)
    rows: Tensor  # where the bins and weights of each band are, (n_mels, 4) int32
    weights: Tensor  # the rows of M from their first to their last bin, concatenated
    lower_band: Tensor  # lower one of the (up to two) bands of a bin, (n_freqs,) int32
    shares: Tensor  # weight of the ratio of that band and of the next one, (n_freqs, 2)
    offset: Tensor  # (items,)
    floor: Tensor  # (items,); 0 for none
    power: float
    inner_iter: int
    exponent: float  # damping / power
    largest_ratio: float
    largest_gain: float
    smallest_mel: float  # lower bound of Ms
