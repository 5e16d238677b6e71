"""Pretended kernels for the doctor: one that is right and faster, and one for each fault."""

from __future__ import annotations

import functools
import os
import signal
import time
from collections.abc import Callable, Iterator

import torch

from torchmelinv.doctor.check import Bound, Check, Tensors, Trial
from torchmelinv.doctor.errors import peak_error
from torchmelinv.errors import InputError

# The verdict about each, and words of the reason. The last ones end or hold their process.
EXPECTED = {
    "faster": ("right and faster", ""),
    "slower": ("right, but not faster", ""),
    "wrong numbers": ("wrong", "allowed 1e-05"),
    "nan": ("wrong", "not finite"),
    "random": ("wrong", "another result in the second run"),
    "exception": ("failed", "RuntimeError: an illegal memory access"),
    "refusal": ("not supported", "more than there are"),
    "inputs": ("failed", "its inputs: MemoryError"),
    "abort": ("crashed", "SIGABRT"),
    "segfault": ("crashed", "SIGSEGV"),
    "exit": ("crashed", "exit code 3: last words"),
    "hang": ("hung", "no result within"),
}
ENDING = ("abort", "segfault", "exit", "hang")


def _plain(dtype: torch.dtype = torch.float32) -> Tensors:
    time.sleep(1e-3)
    return (torch.arange(100, dtype=dtype),)


def _kernel(fault: str, calls: list[int]) -> Tensors:
    calls.append(1)
    (right,) = _plain() if fault == "slower" else (torch.arange(100.0),)
    if fault == "slower":
        time.sleep(1e-3)
    elif fault == "wrong numbers":
        right[7] += 0.01
    elif fault == "nan":
        right[7] = torch.nan
    elif fault == "random":
        right[7] += 1e-5 * len(calls)
    elif fault == "exception":
        raise RuntimeError("an illegal memory access\nand more lines")
    elif fault == "refusal":
        raise InputError("100 bins are more than there are")
    elif fault == "abort":
        os.abort()
    elif fault == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif fault == "exit":
        print("last words", flush=True)
        os._exit(3)
    elif fault == "hang":
        time.sleep(1000)
    return (right,)


def _trials(fault: str, _: torch.device) -> Iterator[Trial]:
    """Yield a trial that goes well, and one with the fault."""
    torch.set_num_threads(1)
    bound = Bound(lambda result, exact: peak_error(result[0], exact[0]), 1e-5)
    for shape in ("first", "second"):
        calls: list[int] = []
        kernel: Callable[[], Tensors] = functools.partial(
            _kernel, fault if shape == "second" else "faster", calls
        )
        exact = functools.partial(_plain, torch.float64)
        yield Trial(shape, kernel, _plain, exact, {"error of the peak": bound})
        if fault == "inputs":
            raise MemoryError("no memory")


def checks() -> list[Check]:
    """Return one check for each fault, each with an operation of its own."""
    return [
        Check(fault, f"operation {fault}", functools.partial(_trials, fault), launches=False)
        for fault in EXPECTED
    ]


def good_checks() -> list[Check]:
    """Return the check without a fault."""
    return [check for check in checks() if check.name == "faster"]
