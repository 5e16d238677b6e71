"""librosa and torchaudio inverting the mel of one of our conventions, each as its own documentation does it.

Both take frames that are centred; a mel with `same` padding, or one that lost its last frame, is handed to them in the way that
costs them nothing at the edges.
"""

from __future__ import annotations

import librosa
import numpy as np
import torch
import torchaudio
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from benchmarks.common import Record, check
from torchmelinv.conventions import MelConvention
from torchmelinv.filterbank import MelFilterbank

MOMENTUM = 0.99


def _is_same_padded(convention: MelConvention) -> bool:
    if convention.padding not in ("same_reflect", "center_reflect", "center_zero"):
        raise ValueError(f"the peers know no {convention.padding!r} padding")
    return convention.padding == "same_reflect"


def _with_last_frame(mel: Tensor, convention: MelConvention) -> Tensor:
    """The mel, its last frame repeated where the convention drops one: the peers make no sound after the last centre."""
    return pad(mel, (0, 1), mode="replicate") if convention.drop_last_frame else mel


def librosa_filterbank(convention: MelConvention) -> NDArray[np.float32]:
    """`librosa.filters.mel` of the same numbers, (n_mels, n_freqs)."""
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
    """That the peers are asked to invert the filterbank that made the mel."""
    apart = (torch.from_numpy(matrix) - filterbank.table).abs().max() / filterbank.table.max()
    return check("librosa's filterbank, distance from ours of its peak", float(apart), at_most=1e-6)


def librosa_waveform(mel: Tensor, convention: MelConvention, n_iter: int = 32, seed: int = 0) -> Tensor:
    """`librosa.feature.inverse.mel_to_audio` with a seed: linear mel (n_mels, n_frames) -> waveform (n_samples,).

    A same-padded mel is one of frames that are not centred; the padding is cut off the result at both ends.
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
    same = _is_same_padded(convention)
    waveform = librosa.griffinlim(
        magnitude,
        n_iter=n_iter,
        hop_length=convention.hop_length,
        win_length=convention.win_length,
        n_fft=convention.n_fft,
        center=not same,
        pad_mode="reflect" if convention.padding == "center_reflect" else "constant",
        momentum=MOMENTUM,
        random_state=seed,
        dtype=np.float32,
    )
    edge = convention.left_padding if same else 0
    return torch.from_numpy(waveform[edge : len(waveform) - edge])


class TorchaudioInverter:
    """`InverseMelScale`, then `GriffinLim`. Making it fails where torchaudio's solver cannot take the filterbank."""

    def __init__(self, convention: MelConvention, n_iter: int = 32) -> None:
        self.convention, self.same = convention, _is_same_padded(convention)
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
        """Linear mel (n_mels, n_frames) -> waveform (n_samples,).

        Frames of a same-padded mel are centred half a hop inside. Reflection makes the frame before the first one its mirror
        image, so the first and the last magnitude are repeated, and half a hop is cut off the result at both ends.
        """
        torch.manual_seed(seed)
        power = self.inverse_mel(_with_last_frame(mel, self.convention))
        if not self.same:
            return self.griffin_lim(power)
        half = self.convention.hop_length // 2
        return self.griffin_lim(pad(power, (1, 1), mode="replicate"))[half:-half]
