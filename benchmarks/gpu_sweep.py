"""`python -m benchmarks.gpu --sweep`: the fused step with other numbers, to see whether those that it has are the best."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from torch import Tensor

from benchmarks.gpu_cases import kernel_step, step
from benchmarks.gpu_clock import Clock
from benchmarks.gpu_inputs import Case, Contender, NotServed, Scale, Setting
from torchmelinv.ops import fused_cuda

# Of ops/fused_cuda.py: multiprocessors to be filled (more of them: shorter runs), registers of a thread
VARIANTS = tuple(itertools.product((33, 66, 132, 264, 528), (80, 96, 112, 128, 144, 168, 255)))


@contextlib.contextmanager
def changed(module: Any, **values: Any) -> Iterator[None]:
    """A module with other numbers."""
    missing = [name for name in values if not hasattr(module, name)]
    if missing:
        raise NotServed(f"{module.__name__} has no {missing[0]}")
    before = {name: getattr(module, name) for name in values}
    try:
        for name, value in values.items():
            setattr(module, name, value)
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)


def _variant(multiprocessors: int, registers: int, _: int = 1) -> Callable[[Any], Tensor]:
    def kernel(n_fft: int, hop_length: int) -> Any:
        return fused_cuda._kernel("fused.cu", "fused_step", n_fft, hop_length, registers)

    def run(inputs: Any) -> Tensor:
        with changed(fused_cuda, MULTIPROCESSORS=multiprocessors, _step_kernel=kernel):
            return kernel_step("fused")(inputs)

    return run


def sweep(setting: Setting, batch: int, scale: Scale, clock: Clock) -> Case:
    """The inputs and the checks are those of `step`."""
    case = step(setting, batch, scale, clock)
    contenders = [
        Contender(f"runs for {number} multiprocessors, {registers} registers",
                  functools.partial(_variant, number, registers), "chain", True)
        for number, registers in VARIANTS
    ]  # fmt: skip
    return case._replace(contenders=[*(one for one in case.contenders if one.name == "fused kernels, graph"), *contenders])
