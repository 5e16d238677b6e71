"""Every phase method's record by its name, flat: what `MelInverter(phase=...)` takes beside a name. Imports only.

`raar_then_fast_griffin_lim()` is what the name "raar" stands for; `Raar` alone does not hand over.
"""

from torchmelinv.joint.mel_consistent import MelConsistent as MelConsistent
from torchmelinv.phase.accelerated_griffin_lim import AcceleratedGriffinLim as AcceleratedGriffinLim
from torchmelinv.phase.admm import Admm as Admm
from torchmelinv.phase.griffin_lim import GriffinLim as GriffinLim
from torchmelinv.phase.lws import Lws as Lws
from torchmelinv.phase.method import PhaseMethod as PhaseMethod
from torchmelinv.phase.method import Then as Then
from torchmelinv.phase.raar import Raar as Raar
from torchmelinv.phase.raar import raar_then_fast_griffin_lim as raar_then_fast_griffin_lim
from torchmelinv.phase.rtisi import RtisiLa as RtisiLa
