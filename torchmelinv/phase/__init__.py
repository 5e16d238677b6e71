"""Phase methods, one per file, and the registry of their names."""

from __future__ import annotations

from torchmelinv._utils.method_names import PhaseName
from torchmelinv._utils.validation import check_number
from torchmelinv.errors import InputError, nearest
from torchmelinv.phase.accelerated_griffin_lim import AcceleratedGriffinLim
from torchmelinv.phase.admm import ADMM
from torchmelinv.phase.coarse_to_fine import CoarseToFine
from torchmelinv.phase.griffin_lim import FastGriffinLim, GriffinLim
from torchmelinv.phase.lws import LWS
from torchmelinv.phase.mel_consistent import MelConsistent
from torchmelinv.phase.method import PhaseMethod
from torchmelinv.phase.raar import RAAR
from torchmelinv.phase.rtisi import RTISILA

__all__ = ["PHASES", "PhaseName", "as_phase_method"]

# A new method is registered here, by its import and its row, and in `PhaseName`.
PHASES: dict[str, type[PhaseMethod]] = {
    "griffin_lim": GriffinLim,
    "fast_griffin_lim": FastGriffinLim,
    "accelerated_griffin_lim": AcceleratedGriffinLim,
    "admm": ADMM,
    "raar": RAAR,
    "lws": LWS,
    "rtisi_la": RTISILA,
    "mel_consistent": MelConsistent,
    "coarse_to_fine": CoarseToFine,
}


def as_phase_method(
    phase: str | PhaseMethod, momentum: float | None = None, name: str = "phase"
) -> PhaseMethod:
    """Return the phase method for a name or an object.

    Args:
        phase: A key of `PHASES`, or a method.
        momentum: Momentum of a method that is given by its name, from 0 to 1; None for its default.
        name: The argument's name, for errors.

    Returns:
        The method.

    Raises:
        InputError: If there is no such method, or it takes no momentum or not this one.
    """
    if isinstance(phase, PhaseMethod):
        if momentum is not None:
            raise InputError(
                f"momentum={momentum!r} cannot be combined with {phase!r}; set it there"
            )
        return phase
    if not isinstance(phase, str) or phase not in PHASES:
        allowed = ", ".join(map(repr, PHASES))
        raise InputError(
            f"{name} is {phase!r}; it must be one of {allowed}, or a method of torchmelinv.phases "
            f"with hyper-parameters such as ADMM(rho=0.3){nearest(str(phase), PHASES)}"
        )
    method = PHASES[phase]()
    if momentum is None:
        return method
    # Above 1 no method settles reliably; an object such as GriffinLim(1.1) takes it anyway.
    check_number("momentum", momentum, 0, 1, hint="0.99 is usual")
    return method.with_momentum(momentum)
