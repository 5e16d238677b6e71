"""The peer libraries: librosa and torchaudio invert our mels as their own documentation shows.

Both take centered frames only. A mel with `same` padding, or without its last frame, is passed to
them in the way that costs them nothing at the edges.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import librosa
import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from benchmarks.records import Record, check
from torchmelinv.conventions import MelConvention
from torchmelinv.transforms.mel_filterbank import MelFilterbank

PEERS = ("librosa", "torchaudio")
MOMENTUM = 0.99


def _is_same_padded(convention: MelConvention) -> bool:
    if convention.padding not in ("same_reflect", "center_reflect", "center_zero"):
        raise ValueError(f"librosa and torchaudio have no {convention.padding!r} padding")
    return convention.padding == "same_reflect"


def _with_last_frame(mel: Tensor, convention: MelConvention) -> Tensor:
    """Return the mel; its last frame is repeated if the convention drops one.

    The peers generate no sound after the last center.
    """
    return pad(mel, (0, 1), mode="replicate") if convention.drop_last_frame else mel


def librosa_filterbank(convention: MelConvention) -> NDArray[np.float32]:
    """Return `librosa.filters.mel` with the convention's numbers, (n_mels, n_freqs)."""
    return librosa.filters.mel(
        sr=convention.sample_rate,
        n_fft=convention.n_fft,
        n_mels=convention.n_mels,
        fmin=convention.f_min,
        fmax=convention.f_max,
        htk=convention.mel_scale == "htk",
        norm=convention.filter_norm,
    )


def filterbank_check(filterbank: MelFilterbank, matrix: NDArray[np.float32]) -> Record:
    """Check that the peers invert the filterbank that made the mel."""
    difference = (torch.from_numpy(matrix) - filterbank.table).abs().max() / filterbank.table.max()
    what = "largest difference from librosa's filterbank, relative to the peak"
    return check(what, float(difference), at_most=1e-6)


def librosa_waveform(
    mel: Tensor, convention: MelConvention, n_iter: int = 32, seed: int = 0
) -> Tensor:
    """Invert a linear mel (n_mels, n_frames) as `librosa.feature.inverse.mel_to_audio` does.

    Unlike that function, this one takes a seed. Frames with `same` padding are not centered: the
    padding is trimmed from both ends of the waveform (n_samples,).
    """
    magnitude = librosa.feature.inverse.mel_to_stft(
        _with_last_frame(mel, convention).numpy(),
        sr=convention.sample_rate,
        n_fft=convention.n_fft,
        power=convention.power,
        fmin=convention.f_min,
        fmax=convention.f_max,
        htk=convention.mel_scale == "htk",
        norm=convention.filter_norm,
    )
    same_padded = _is_same_padded(convention)
    waveform = librosa.griffinlim(
        magnitude,
        n_iter=n_iter,
        hop_length=convention.hop_length,
        win_length=convention.win_length,
        n_fft=convention.n_fft,
        center=not same_padded,
        pad_mode="reflect" if convention.padding == "center_reflect" else "constant",
        momentum=MOMENTUM,
        random_state=seed,
        dtype=np.float32,
    )
    edge = convention.left_padding if same_padded else 0
    return torch.from_numpy(waveform[edge : len(waveform) - edge])


class TorchaudioInverter:
    """`InverseMelScale`, then `GriffinLim`.

    The constructor raises if torchaudio's solver cannot take the filterbank.
    """

    def __init__(self, convention: MelConvention, n_iter: int = 32) -> None:
        self.convention, self.same_padded = convention, _is_same_padded(convention)
        self.inverse_mel = torchaudio.transforms.InverseMelScale(
            n_stft=convention.n_freqs,
            n_mels=convention.n_mels,
            sample_rate=int(convention.sample_rate),
            f_min=convention.f_min,
            f_max=convention.f_max,
            norm=convention.filter_norm,
            mel_scale=convention.mel_scale,
        )
        self.griffin_lim = torchaudio.transforms.GriffinLim(
            n_fft=convention.n_fft,
            n_iter=n_iter,
            win_length=convention.win_length,
            hop_length=convention.hop_length,
            power=convention.power,
            momentum=MOMENTUM,
        )

    def __call__(self, mel: Tensor, seed: int = 0) -> Tensor:
        """Invert a linear mel (n_mels, n_frames) to a waveform (n_samples,).

        Frames with `same` padding are centered half a hop inside the signal. Under reflection the
        frame before the first one is its mirror image: the first and the last magnitude are
        repeated, and half a hop is trimmed from both ends of the waveform.
        """
        torch.manual_seed(seed)
        spectrum = self.inverse_mel(_with_last_frame(mel, self.convention))
        if not self.same_padded:
            return self.griffin_lim(spectrum)
        half = self.convention.hop_length // 2
        return self.griffin_lim(pad(spectrum, (1, 1), mode="replicate"))[half:-half]


def inverter(name: str, convention: MelConvention, n_iter: int = 32) -> Callable[[Tensor], Tensor]:
    """Return a peer's function from linear mels (n_mels, n_frames) to waveforms (n_samples,).

    Raises ValueError or RuntimeError where the peer cannot invert these mels.
    """
    if name == "torchaudio":
        return TorchaudioInverter(convention, n_iter)
    return functools.partial(librosa_waveform, convention=convention, n_iter=n_iter)
