"""A case of the GPU benchmark: inputs, and the implementations that compute the same from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from benchmarks.gpu_inputs import Setting
from benchmarks.gpu_work import Work
from benchmarks.records import CheckFailed, Record
from torchmelinv.doctor.inputs import MOMENTUM
from torchmelinv.doctor.peer import torchaudio_griffin_lim

Run = Callable[[Any], Tensor]  # a set of inputs -> the result
Make = Callable[[int], Run]  # by number of iterations


class NotSupported(CheckFailed):
    """A family of kernels does not support the case."""


class Implementation(NamedTuple):
    """An implementation of a case. `make` is called when its turn comes, and may raise.

    `kernels` are labels of kernels that it must launch: its own, then those that it depends on.
    `parts` splits a call into functions whose peaks of memory are measured one by one.
    """

    name: str
    make: Make
    graph: str | None = None  # as in `Cuda.prepare`
    kernels: tuple[str, ...] = ()
    parts: Callable[[Any], dict[str, Callable[[], object]]] | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the implementation: if it breaks the device, its first one is not run again."""
        labels = self.kernels or (self.name.removesuffix(", graph"),)
        return (f"{labels[0]}, graph", *labels) if self.graph else labels


def with_graph(name: str, make: Make, graph: str, *kernels: str) -> list[Implementation]:
    """Return an implementation without and with a CUDA graph."""
    return [
        Implementation(name, make, None, kernels),
        Implementation(f"{name}, graph", make, graph, kernels),
    ]


class Case(NamedTuple):
    """One computation, on several sets of inputs, and its implementations.

    `checks` takes the implementation, its `make`, the index of a set and the result for it as it is
    timed; it returns entries of `check`. `measure`, if given, takes the place of the times: it
    returns fields of the implementation's entry.
    """

    title: str
    setting: Setting
    batch: int
    n_iter: int  # in one call
    work: Work | None  # of one iteration, all frames
    sets: Sequence[Any]
    implementations: Sequence[Implementation]
    checks: Callable[[Implementation, Make, int, Tensor], list[Record]]
    measure: Callable[[Implementation], Record] | None = None

    def facts(self) -> Record:
        """Return the description of the case for the file."""
        facts = {
            "title": self.title,
            "setting": str(self.setting),
            **self.setting._asdict(),
            "batch": self.batch,
            "n_iter": self.n_iter,
            "sets": len(self.sets),
        }
        if self.work is not None:
            facts["work"] = {"bytes": self.work.bytes, "flops": round(self.work.flops)}
        return facts


def measured_case(
    title: str,
    setting: Setting,
    batch: int,
    n_iter: int,
    kernels: Mapping[str, tuple[str, ...]],
    measure: Callable[[Implementation], Record],
) -> Case:
    """Return a case that only `measure` runs; `kernels` has those of each implementation."""

    def make(_: int) -> Run:
        raise AssertionError("`measure` runs the implementation")

    implementations = [Implementation(name, make, None, own) for name, own in kernels.items()]
    return Case(title, setting, batch, n_iter, None, [], implementations, lambda *_: [], measure)


def by_torchaudio(setting: Setting, n_iter: int) -> Run:
    """Return torchaudio's Griffin-Lim with the momentum of the others."""
    return torchaudio_griffin_lim(setting.stft, n_iter, MOMENTUM)
