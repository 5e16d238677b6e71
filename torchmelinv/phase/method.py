"""What a phase method is, and how two methods follow each other.

A method is a frozen dataclass of hyper-parameters with `init`, `step` and `signal`. Its state is a
NamedTuple of tensors whose first dimension is the item of the batch. The loop, the initial phase,
padded batches, gradient modes and diagnostics are the same for all methods and live elsewhere.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import Tensor

from torchmelinv._utils.validation import check_number
from torchmelinv.errors import InputError
from torchmelinv.phase.problem import PhaseProblem
from torchmelinv.phase.target import MagnitudeTarget, MelData, Target
from torchmelinv.transforms.stft_plan import STFTPlan


def check_part(name: str, part: int | float) -> None:
    """Refuse what is neither an integer number of iterations nor a fraction of them."""
    hint = "an integer number of iterations, or a fraction of them below 1"
    check_number(name, part, 0, hint=hint)
    if part >= 1 and not isinstance(part, int):
        raise InputError(f"{name} is {part!r}; it must be {hint}")


def part_of(n_iter: int, part: int | float) -> int:
    """Return the number of iterations that a part of n_iter is."""
    return min(round(part * n_iter if part < 1 else part), n_iter)


class PhaseMethod:
    """Base class of the methods that find a waveform for a magnitude or a mel spectrogram.

    A subclass is a frozen dataclass of hyper-parameters. It defines `init` and `step`. It overrides
    `signal` if the first field of the state is not the signal, `stages` if it is a sequence of
    methods, and `make_target` if it imposes something other than the magnitude. The tolerance of an
    inverter applies to the change of the first field. All fields are tensors whose first dimension
    is the item.

    `init` and `step` get the problem: ``problem.plan.forward(signal)`` and
    ``problem.plan.inverse(spectrum)`` are the STFT and its inverse, ``problem.impose(spectrum)`` is
    P_A and may overwrite its input, ``problem.plan.consistent(spectrum)`` is P_C, and
    ``problem.consistent_projection(signal)`` is ISTFT(P_A(STFT(x))).

    Example:
        >>> import dataclasses, typing
        >>> import torch, torchmelinv as tmi
        >>> class State(typing.NamedTuple):
        ...     signal: torch.Tensor  # x, (items, samples)
        >>> @dataclasses.dataclass(frozen=True)
        ... class RelaxedGriffinLim(tmi.phases.PhaseMethod):
        ...     step_size: float = 1.3
        ...     def init(self, problem, spectrum):
        ...         return State(problem.plan.inverse(spectrum))
        ...     def step(self, problem, state):
        ...         projected = problem.consistent_projection(state.signal)
        ...         return State(torch.lerp(state.signal, projected, self.step_size))
        >>> inverter = tmi.MelInverter("hifigan_22k", phase=RelaxedGriffinLim(), gradient=4)
        >>> inverter(torch.full((80, 20), -5.0)).shape
        torch.Size([5120])
    """

    @property
    def cuda_graph_safe(self) -> bool:
        """Whether a step never waits for values, so that it can be captured as a CUDA graph."""
        return False

    @property
    def iterations_per_step(self) -> int:
        """Number of iterations that one step counts as."""
        return 1

    @property
    def iterations_of_init(self) -> int:
        """Number of iterations that `init` counts as."""
        return 0

    @property
    def uses_initial_phase(self) -> bool:
        """Whether the phase of the spectrum that `init` gets matters."""
        return True

    def with_momentum(self, momentum: float) -> PhaseMethod:
        """Return the method with another momentum: by default, its field of that name.

        Args:
            momentum: The momentum.

        Returns:
            A copy of the method.

        Raises:
            InputError: If the method has no momentum.
        """
        fields = {field.name for field in dataclasses.fields(self)}  # type: ignore[arg-type]
        if "momentum" not in fields:
            name = type(self).__name__
            raise InputError(f"momentum is {momentum!r}, but {name} has none; leave it out")
        return dataclasses.replace(self, momentum=momentum)  # type: ignore[type-var]

    def make_target(self, magnitude: Tensor, mel: MelData | None) -> Target:
        """Return what the iteration imposes: by default the magnitude.

        Args:
            magnitude: Initial magnitude A (items, frames, n_freqs).
            mel: The linear mel spectrogram that the magnitude was found for, if there is one.

        Returns:
            The target of the iteration.
        """
        return MagnitudeTarget(magnitude)

    def make_problem(self, target: Target, plan: STFTPlan, n_channels: int) -> PhaseProblem:
        """Return the problem that `init`, `step` and `signal` get.

        Args:
            target: What `make_target` returned.
            plan: The STFT.
            n_channels: Channels of each recording.

        Returns:
            The problem.
        """
        return PhaseProblem(target, plan, n_channels)

    def init(self, problem: PhaseProblem, spectrum: Tensor) -> Any:
        """Return the state before the first step.

        Args:
            problem: The target, and the STFT that belongs to it.
            spectrum: Complex spectrum (items, frames, n_freqs) with the initial magnitude and
                phase.

        Returns:
            The state, a NamedTuple of tensors.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define init")

    def init_from_signal(self, signal: Tensor) -> Any:
        """Return the state before the first step for a signal, if the state holds signals alone.

        Args:
            signal: Signals (items, samples).

        Returns:
            The state, or None if the method needs a spectrum: then it cannot invert long items in
            pieces.
        """
        return None

    def step(self, problem: PhaseProblem, state: Any) -> Any:
        """Run one iteration.

        Args:
            problem: The target, and the STFT that belongs to it.
            state: The state after the iteration before.

        Returns:
            The next state.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define step")

    def numbered_step(self, problem: PhaseProblem, state: Any, number: int) -> Any:
        """Run one iteration that may depend on its number: by default, `step`.

        Args:
            problem: The target, and the STFT that belongs to it.
            state: The state after the iteration before.
            number: Iterations of this method before.

        Returns:
            The next state.
        """
        return self.step(problem, state)

    def restart(self, before: Any, after: Any) -> Any:
        """Drop the extrapolation of items that it leads away: by default there is none.

        Args:
            before: The state before a step.
            after: The state after it.

        Returns:
            The state to go on from.
        """
        return after

    def safeguard(self, before: Any, after: Any) -> Any:
        """Check a step, every fourth time: by default the iteration is that of its paper.

        Args:
            before: The state before the step.
            after: The state after it.

        Returns:
            The state to go on from.
        """
        return after

    def signal(self, problem: PhaseProblem, state: Any) -> Tensor:
        """Return the signal of a state: by default its first field.

        Args:
            problem: The target, and the STFT that belongs to it.
            state: A state.

        Returns:
            Signals (items, samples).
        """
        return state[0]

    def stages(self, n_iter: int) -> list[tuple[PhaseMethod, int]]:
        """Split a number of iterations into methods that follow each other.

        Args:
            n_iter: Iterations in total.

        Returns:
            Methods with the number of steps of each.
        """
        return [(self, n_iter)]


@dataclasses.dataclass(frozen=True)
class Then(PhaseMethod):
    """Run one phase method, then another from the signal that the first one found.

    Args:
        first: The method that runs first.
        second: The method that runs for the other iterations.
        after: Iterations of `first`: an integer, or a fraction (below 1) of all iterations.

    Raises:
        InputError: If a part is not a phase method, or `after` is neither a count nor a fraction.

    Example:
        >>> import torchmelinv as tmi
        >>> first = tmi.phases.MelConsistent(tmi.phases.RAAR(after=None))
        >>> phase = tmi.phases.Then(first, tmi.phases.MelConsistent(), after=0.25)
        >>> inverter = tmi.MelInverter("hifigan_22k", phase=phase)
    """

    first: PhaseMethod
    second: PhaseMethod
    after: int | float

    def __post_init__(self) -> None:
        for name in ("first", "second"):
            part = getattr(self, name)
            if not isinstance(part, PhaseMethod):
                raise InputError(
                    f"{name} is {part!r}; it must be a phase method such as GriffinLim()"
                )
        check_part("after", self.after)

    def stages(self, n_iter: int) -> list[tuple[PhaseMethod, int]]:
        first = part_of(n_iter, self.after)
        return self.first.stages(first) + self.second.stages(n_iter - first)
