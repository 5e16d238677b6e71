"""All phase methods as classes, for `MelInverter` and `functional.magnitude_to_waveform`.

Each name of a method stands for the class with its default hyper-parameters.
"""

from torchmelinv.phase.accelerated_griffin_lim import AcceleratedGriffinLim
from torchmelinv.phase.admm import ADMM
from torchmelinv.phase.coarse_to_fine import CoarseToFine
from torchmelinv.phase.griffin_lim import FastGriffinLim, GriffinLim
from torchmelinv.phase.lws import LWS
from torchmelinv.phase.mel_consistent import MelConsistent
from torchmelinv.phase.method import PhaseMethod, Then
from torchmelinv.phase.raar import RAAR
from torchmelinv.phase.rtisi import RTISILA

__all__ = [
    "ADMM",
    "LWS",
    "RAAR",
    "RTISILA",
    "AcceleratedGriffinLim",
    "CoarseToFine",
    "FastGriffinLim",
    "GriffinLim",
    "MelConsistent",
    "PhaseMethod",
    "Then",
]
