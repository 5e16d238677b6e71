"""What kernels are told of one size of problem: how signals lie in frames, and which mel their spectra shall have."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor


class Layout(NamedTuple):
    """Signals (items, n_samples) and their frames: frame j has the samples j · hop_length − left + (0…n_fft−1)."""

    n_fft: int
    hop_length: int
    left: int  # samples of padding before the first
    n_frames: int
    n_samples: int
    reflect: bool  # whether samples outside are mirrored ones, as often as it takes; else 0
    window: Tensor  # (n_fft,)
    inverse_envelope: Tensor  # 1 / (n_fft Σ w²), 0 where no window reaches: (n_samples,), or (items, n_samples)
    ends: Tensor | None  # samples of each item, (items,) int32, where they differ; signals are 0 from there on

    @property
    def n_freqs(self) -> int:
        return self.n_fft // 2 + 1


class MelPull(NamedTuple):
    """The pull towards a mel (`joint/mel_target.py`) for filters of which at most two neighbours share a bin.

    s = max(|c|² + offset, floor) ** (power / 2); `sweeps` times s ← s · g, g_k = Σ_j spread_kj min(m_j / (Ms)_j, most); then
    c ← c · min(Π g ** (agreement / power), most gain). Beyond the last band stands one more, whose ratio is 1 in frames that are
    not silent: the part of a bin that follows no filter. The tables are those of `ops/mel_pull.py`.
    """

    values: Tensor  # m, (items, frames, n_mels)
    rows: Tensor  # where each band's bins and weights are, (n_mels, 4) int32
    weights: Tensor  # M's rows from first to last bin, one after the other
    band: Tensor  # lower one of the (up to two) bands of a bin, (n_freqs,) int32
    spread: Tensor  # what the ratios of that band and of the next add to the bin's factor, (n_freqs, 2)
    offset: Tensor  # (items,)
    floor: Tensor  # (items,); 0 where there is none
    power: float
    sweeps: int
    exponent: float  # agreement / power
    most_ratio: float
    most_gain: float
    faintest: float  # Ms is at least this
