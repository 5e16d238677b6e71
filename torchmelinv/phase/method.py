"""What a phase method is: a frozen record of its numbers with `init`, `step` and `signal`, on a problem that may be any.

Every method of this room alternates between two sets: spectra that are the spectrum of some signal (`FramePlan.consistent`,
P_C in the papers) and spectra that have what is wanted (`PhaseProblem.impose`, P_A): here a magnitude, in the joint room a
mel. So a method written once serves both.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NamedTuple, Protocol, cast

import torch
from torch import Tensor

from torchmelinv.analysis import modulus
from torchmelinv.errors import InputError
from torchmelinv.frame import FramePlan
from torchmelinv.ops import step_cuda
from torchmelinv.ops.backend import asked, by_kernel, chosen
from torchmelinv.ops.checks import check_number
from torchmelinv.ops.impose_magnitude import impose_magnitude, impose_magnitude_plainly, impose_magnitude_vjp
from torchmelinv.ops.layout import MelPull
from torchmelinv.ops.precision import any_order, differentiated, no_second_derivative


class Target(Protocol):
    """What a spectrum (items, frames, n_freqs) should have; 0 in frames after an item's own."""

    @property
    def values(self) -> Tensor:
        """What is wanted, as a tensor; all that a gradient can reach."""

    def for_kernels(self) -> Tensor | MelPull | str:
        """The target as kernels take it, or why they cannot."""

    def of(self, values: Tensor) -> Target:
        """The same for other frames, from their values (items, frames, rows)."""

    def flat(self, phasors: Tensor) -> Tensor:
        """Moduli to impose it on where only phasors (n_freqs,) are known; they scale with the values."""

    def impose(self, spectrum: Tensor) -> Tensor:
        """The spectrum changed to have it, angles kept. May overwrite: hand over a spectrum that nobody else needs."""

    def vjp(self, spectrum: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients by the spectrum and by `values`, from that by what `impose` gave for it."""

    def distance(self, spectrum: Tensor) -> Tensor:
        """How far the spectrum is from having it, relative, (items, 1); 0 for a silent item."""


def relative_norm(error: Tensor, size: Tensor) -> Tensor:
    """‖error‖ / ‖size‖ of each item, (items, frames, rows) -> (items, 1); 0 where the size is."""
    above, below = (each.square().sum((-2, -1)) for each in (error, size))
    return torch.where(below > 0, above / torch.where(below > 0, below, 1), 0).sqrt()[:, None]


class MagnitudeTarget(NamedTuple):
    """|c| = A."""

    values: Tensor  # A, (items, frames, n_freqs)

    def for_kernels(self) -> Tensor:
        return self.values.detach()

    def of(self, values: Tensor) -> MagnitudeTarget:
        return MagnitudeTarget(values)

    def flat(self, phasors: Tensor) -> Tensor:
        return phasors

    def impose(self, spectrum: Tensor) -> Tensor:
        return impose_magnitude(spectrum, self.values)

    def vjp(self, spectrum: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
        return impose_magnitude_vjp(spectrum, self.values, grad)

    def distance(self, spectrum: Tensor) -> Tensor:
        return relative_norm(modulus(spectrum) - self.values, self.values)


class _Project(torch.autograd.Function):
    """ISTFT(P_A(STFT(y))), which remembers y and nothing of the spectrum: that is made again on the way back."""

    @staticmethod
    def forward(ctx: Any, signal: Tensor, values: Tensor, problem: PhaseProblem) -> Tensor:
        ctx.save_for_backward(signal)
        plan, target, wanted = problem.plan, problem.target, problem.for_kernels()
        ctx.plan, ctx.target = plan, target  # `values` are the target's own; autograd needs to be told of them
        ctx.by_kernel = wanted is not None
        if wanted is not None:
            return step_cuda.step(plan.layout, wanted, signal.contiguous())[0]
        return plan.synthesise(target.impose(plan.analyse(signal)))

    @staticmethod
    @any_order
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        plan, target, (signal,) = ctx.plan, ctx.target, ctx.saved_tensors
        magnitude = isinstance(target, MagnitudeTarget)
        if torch.is_grad_enabled():
            if not magnitude:
                raise no_second_derivative()
            again = lambda signal, values: plan.synthesise(impose_magnitude_plainly(plan.analyse(signal), values))  # noqa: E731
            return *differentiated(again, (signal, target.values), grad[0]), None
        if ctx.by_kernel and magnitude:
            parts = (each.contiguous() for each in (target.values, signal, grad[0]))
            return *step_cuda.project_vjp(plan.layout, *parts), None
        to_spectrum, to_values = target.vjp(plan.analyse(signal), plan.adjoint_of_synthesis(grad[0]))
        return plan.adjoint_of_analysis(to_spectrum), to_values, None


@dataclasses.dataclass(frozen=True, eq=False)
class PhaseProblem:
    """What is asked: a signal (items, samples) whose spectrum has the target."""

    target: Target
    plan: FramePlan  # analysis and synthesis between signals and (items, frames, n_freqs)
    _forms: dict[str, Tensor | MelPull | None] = dataclasses.field(default_factory=dict, init=False, repr=False)

    def for_kernels(self) -> Tensor | MelPull | None:
        """The target as kernels take it, or None where plain torch shall run; found out once for each backend asked for."""
        name = asked()
        if name not in self._forms:
            wanted = self.target.for_kernels() if chosen() == "cuda" else None
            serves = wanted is not None and by_kernel("a phase iteration", lambda: step_cuda.why_not(self.plan.layout, wanted))
            self._forms[name] = cast(Any, wanted) if serves else None  # a reason never serves
        return self._forms[name]

    def impose(self, spectrum: Tensor) -> Tensor:
        """P_A; may overwrite its argument."""
        return self.target.impose(spectrum)

    def project(self, signal: Tensor) -> Tensor:
        """ISTFT(P_A(STFT(y))): signal (items, samples) -> signal. A gradient costs the memory of one signal."""
        return _Project.apply(signal, self.target.values, self)

    def advance(
        self, signal: Tensor, previous: Tensor, momentum: float, inertia: float | None = None, relaxation: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Extrapolate two signals, project, relax: x = project(y) and t⁺ = d + relaxation · (x − d), (items, samples) each.

        y = t + momentum · (t − t⁻) from signal t and previous t⁻; d like it with the inertia, by default the momentum.
        """
        inertia = momentum if inertia is None else inertia
        wants_gradient = torch.is_grad_enabled() and any(each.requires_grad for each in (signal, previous, self.target.values))
        wanted = None if wants_gradient else self.for_kernels()
        if wanted is not None:
            before = previous if momentum or inertia else None
            return step_cuda.step(self.plan.layout, wanted, signal, before, momentum, inertia, relaxation)
        ahead = torch.lerp(previous, signal, 1 + momentum) if momentum else signal
        projected = self.project(ahead)
        if relaxation == 1:
            return projected, projected
        relaxed = ahead if inertia == momentum else torch.lerp(previous, signal, 1 + inertia)
        return projected, torch.lerp(relaxed, projected, relaxation)


class PhaseMethod:
    """A method's numbers with what it does; a state is a NamedTuple of tensors whose first dimension is the item."""

    only_launches: ClassVar[bool] = False  # whether a step asks nothing of the host, so that it can be recorded as a graph

    def init(self, problem: PhaseProblem, spectrum: Tensor) -> Any:
        """State before the first step, from a spectrum that has the target."""
        raise NotImplementedError

    def step(self, problem: PhaseProblem, state: Any) -> Any:
        """One iteration."""
        raise NotImplementedError

    def signal(self, problem: PhaseProblem, state: Any) -> Tensor:
        """The state's answer, (items, samples)."""
        return state[0]

    def stages(self, n_iter: int) -> list[tuple[PhaseMethod, int]]:
        """What `n_iter` iterations are: methods that follow each other, and how many steps of each."""
        return [(self, n_iter)]


@dataclasses.dataclass(frozen=True)
class Then(PhaseMethod):
    """A schedule: `after` iterations of `first`, or that share of all where it is below 1; then `second`, from its signal."""

    first: PhaseMethod
    second: PhaseMethod
    after: int | float

    def __post_init__(self) -> None:
        for name in ("first", "second"):
            part = getattr(self, name)
            if not isinstance(part, PhaseMethod):
                hint = "such as GriffinLim(0.99); a joint schedule is MelConsistent(Then(...))"
                raise InputError(f"{name} is {part!r}; it must be a phase method {hint}")
        hint = "a whole number of iterations, or a share of them below 1"
        check_number("after", self.after, 0, hint=hint)
        if self.after >= 1 and not isinstance(self.after, int):
            raise InputError(f"after is {self.after!r}; it must be {hint}")

    def stages(self, n_iter: int) -> list[tuple[PhaseMethod, int]]:
        before = min(round(self.after * n_iter if self.after < 1 else self.after), n_iter)
        return self.first.stages(before) + self.second.stages(n_iter - before)
