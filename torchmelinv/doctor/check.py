"""What a check of a kernel is, and its result.

A check has trials: one operation on inputs of one shape, by the kernel, by plain torch, and in
float64. The kernel is right if its errors are within bounds, or within four times those of plain
torch in float32; it is faster if it takes at most 95 % of the time of plain torch.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from torchmelinv.cuda.verdicts import RIGHT_AND_FASTER
from torchmelinv.doctor.clock import (
    Call,
    UninitializedIsNaN,
    call_seconds,
    captured,
    launched_kernels,
)
from torchmelinv.errors import InputError

OF_PLAIN = 4  # allowed error, relative to that of plain torch in float32
LARGEST_RATIO = 0.95  # allowed time, relative to that of plain torch

Tensors = tuple[Tensor, ...]


class Bound(NamedTuple):
    """An error of a result, and the largest that is allowed in any case."""

    error: Callable[[Tensors, Tensors], float]  # of a result and of the exact one
    allowed: float


class Trial(NamedTuple):
    """One operation on inputs of one shape."""

    shape: str
    kernel: Callable[[], Tensors]
    plain: Callable[[], Tensors]
    exact: Callable[[], Tensors]  # in float64
    bounds: Mapping[str, Bound]  # by the name of the error
    captured: bool = False  # timed as CUDA graphs, which hide the time to launch
    torchaudio: Callable[[], Call] | None = None  # returns its call
    torchaudio_calls: int = 1  # operations in that call


class Check(NamedTuple):
    """The trials of one kernel or family of kernels."""

    name: str
    operation: str  # as `use_kernel` and verdicts name it
    trials: Callable[[torch.device], Iterator[Trial]]
    launches: bool = True  # whether a kernel of the package must be launched


@dataclasses.dataclass(frozen=True)
class Row:
    """The result of one trial, or of a process that ended in it."""

    check: str
    operation: str
    shape: str
    verdict: str
    reason: str = ""
    error_name: str = ""
    error: float | None = None
    allowed: float | None = None
    plain_seconds: float | None = None
    kernel_seconds: float | None = None
    torchaudio_seconds: float | None = None

    @property
    def speedup(self) -> float | None:
        """How many times faster than plain torch the kernel is."""
        if self.plain_seconds is None or self.kernel_seconds is None:
            return None
        return self.plain_seconds / self.kernel_seconds


def _worst_error(trial: Trial, result: Tensors) -> tuple[str, float, float]:
    """Return the name of the largest error relative to what is allowed, its value, and that."""
    exact, plain = trial.exact(), trial.plain()
    entries = []
    for name, (error_of, least) in trial.bounds.items():
        of_plain = error_of(plain, exact)
        allowed = max(least, OF_PLAIN * of_plain) if math.isfinite(of_plain) else least
        entries.append((name, error_of(result, exact), allowed))
    return max(entries, key=lambda entry: math.inf if math.isnan(entry[1]) else entry[1] / entry[2])


def _wrong(trial: Trial, result: Tensors, error: float, allowed: float) -> str:
    """Return what is wrong with a result, or ""."""
    if not all(bool(each.isfinite().all()) for each in result):
        return "values that are not finite"
    if not error <= allowed:
        return f"error {error:.2g}, allowed {allowed:.2g}"
    again = trial.kernel()
    if not all(torch.equal(*pair) for pair in zip(result, again, strict=True)):
        return "another result in the second run"
    return ""


def _seconds(trial: Trial, device: torch.device) -> tuple[float, float]:
    """Return the seconds of plain torch and of the kernel, both captured or both not."""
    calls: list[Call] = [trial.plain, trial.kernel]
    if trial.captured:
        calls = [captured(call, device) for call in (trial.plain, trial.kernel)]
    plain, kernel = (call_seconds(call, device) for call in calls)
    return plain, kernel


def _torchaudio_seconds(trial: Trial, device: torch.device) -> float | None:
    """Return the seconds of torchaudio, or None if there are none to compare with."""
    if trial.torchaudio is None:
        return None
    try:
        return call_seconds(trial.torchaudio(), device) / trial.torchaudio_calls
    except Exception:  # it does not load beside this version of torch, or fails: no fault of ours
        return None


def run_trial(check: Check, trial: Trial, device: torch.device) -> Row:
    """Run a trial: errors first, then times of a kernel that is right.

    Args:
        check: The check that it belongs to.
        trial: The trial.
        device: The device of its inputs.

    Returns:
        The result; an exception becomes its reason.
    """
    row = Row(check.name, check.operation, trial.shape, "failed")
    try:
        with launched_kernels() as launched, UninitializedIsNaN():
            result = trial.kernel()
        if check.launches and not launched:
            return dataclasses.replace(row, reason="no kernel was launched")
        name, error, allowed = _worst_error(trial, result)
        row = dataclasses.replace(row, error_name=name, error=error, allowed=allowed)
        if reason := _wrong(trial, result, error, allowed):
            return dataclasses.replace(row, verdict="wrong", reason=reason)
        plain, kernel = _seconds(trial, device)
    except InputError as refusal:
        return dataclasses.replace(row, verdict="not supported", reason=str(refusal))
    except Exception as failure:
        text = str(failure).strip().splitlines() or [""]
        reason = f"{type(failure).__name__}: {text[0]}"
        return dataclasses.replace(row, reason=reason)
    return dataclasses.replace(
        row,
        verdict=RIGHT_AND_FASTER if kernel <= LARGEST_RATIO * plain else "right, but not faster",
        plain_seconds=plain,
        kernel_seconds=kernel,
        torchaudio_seconds=_torchaudio_seconds(trial, device),
    )
