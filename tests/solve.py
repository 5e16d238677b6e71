"""Apply a phase method to a magnitude or a linear mel; return all that `reconstruct` returns."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from torchmelinv.conventions import MelConvention, STFTConvention
from torchmelinv.magnitude.entropic import entropic
from torchmelinv.phase import PHASES
from torchmelinv.phase.mel_consistent import MelConsistent
from torchmelinv.phase.method import PhaseMethod
from torchmelinv.phase.reconstruct import LinearMel, reconstruct
from torchmelinv.solvers.iterate import Solution
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.spectrum import remove_offset
from torchmelinv.transforms.stft import STFT

# The methods that need no mel, by name.
MAGNITUDE_PHASES = {
    name: method for name, method in PHASES.items() if not issubclass(method, MelConsistent)
}


def solve(
    method: PhaseMethod,
    magnitude: Tensor,
    convention: STFTConvention | MelConvention | str,
    n_iter: int = 32,
    *,
    init: str | Tensor = "random",
    **options: Any,
) -> Solution:
    """Reconstruct from a magnitude (…, n_freqs, n_frames).

    Random initial phases leave more to do than the default ones.
    """
    return reconstruct(method, magnitude, STFT(convention), n_iter, init=init, **options)


def solve_mel(
    method: PhaseMethod,
    mel: Tensor,
    convention: MelConvention,
    n_iter: int = 32,
    **options: Any,
) -> Solution:
    """Reconstruct from a linear mel (…, n_mels, n_frames) and its entropic magnitude."""
    filterbank = MelFilterbank(convention)
    magnitude = remove_offset(entropic(mel, filterbank), convention)
    linear_mel = LinearMel(mel, filterbank, convention)
    return reconstruct(method, magnitude, STFT(convention), n_iter, mel=linear_mel, **options)
