"""torchaudio's transforms for analysis and inversion, with its arguments and attributes.

`Spectrogram`, `MelScale` and `MelSpectrogram` equal torchaudio's to rounding. So do `GriffinLim`
and the function `griffinlim` from zero phases. `InverseMelScale` is the entropic inverse instead of
clipped least squares: it has the given mel, is positive, and supports rank-deficient filterbanks,
on any device. Checkpoints of either library load in the other.

Gradients are exact, half precisions come back as float32, and `torch.jit.script` compiles all
classes. A process that loads a scripted `GriffinLim` or `InverseMelScale` must import this module.
All classes but `InverseMelScale`, which stays an operator, export to plain operations of torch.
torchaudio itself is not imported.
"""

# The modules of these classes have no `from __future__ import annotations`: TorchScript does not
# read annotations that are text.
from torchmelinv.compat.torchaudio.griffin_lim import GriffinLim, griffinlim
from torchmelinv.compat.torchaudio.mel_scale import InverseMelScale, MelScale
from torchmelinv.compat.torchaudio.mel_spectrogram import MelSpectrogram
from torchmelinv.compat.torchaudio.spectrogram import Spectrogram

__all__ = [
    "GriffinLim",
    "InverseMelScale",
    "MelScale",
    "MelSpectrogram",
    "Spectrogram",
    "griffinlim",
]
