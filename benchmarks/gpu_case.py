"""A case of the GPU benchmark: inputs, and the implementations that compute the same from them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
import torchaudio
from torch import Tensor

from benchmarks.gpu_inputs import MOMENTUM, Setting
from benchmarks.gpu_work import Work
from benchmarks.records import CheckFailed, Record

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
    timed; it returns entries of `check`. `accuracy`, if given, takes the place of the times.
    """

    title: str
    setting: Setting
    batch: int
    n_iter: int  # in one call
    work: Work | None  # of one iteration, all frames
    sets: Sequence[Any]
    implementations: Sequence[Implementation]
    checks: Callable[[Implementation, Make, int, Tensor], list[Record]]
    accuracy: Callable[[Implementation], Record] | None = None

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


def norm_error(result: Tensor, expected: Tensor) -> float:
    """Return ‖result − expected‖ / ‖expected‖; NaN if any value is."""
    error = torch.linalg.vector_norm(result.double() - expected)
    return float(error / torch.linalg.vector_norm(expected))


def peak_error(result: Tensor, expected: Tensor) -> float:
    """Return the largest error relative to the peak; NaN if any value is."""
    return float((result.double() - expected).abs().max() / expected.abs().max())


@functools.lru_cache(maxsize=8)
def _hann(n_fft: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.hann_window(n_fft, dtype=dtype, device=device)


def by_torchaudio(setting: Setting, n_iter: int) -> Run:
    """Return torchaudio's Griffin-Lim; its momentum means m / (1 + m), see phase/griffin_lim.py."""
    sizes = (setting.n_fft, setting.hop_length, setting.n_fft)

    def run(magnitude: Tensor) -> Tensor:
        window = _hann(setting.n_fft, magnitude.dtype, magnitude.device)
        return torchaudio.functional.griffinlim(
            magnitude, window, *sizes, 1.0, n_iter, MOMENTUM, None, False
        )

    return run
