"""Kernels without a GPU: their unmodified source, built by a host compiler with CUDA's threads emulated (`host_cuda.h`).

`host_kernels` puts it in the place of the CUDA driver, so that everything above a launch, the allocations and grids of
ops/*_cuda.py included, runs as on a device, on CPU tensors. A block's threads run in an order that the seed draws, so results
that depend on a missing barrier differ from seed to seed. This proves what is computed, not how fast.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from torchmelinv.ops import nvrtc
from torchmelinv.ops.graphs import Graph
from torchmelinv.ops.nvrtc import Argument, Kernel
from torchmelinv.ops.precision import lasting

COMPILER = shutil.which("g++") or shutil.which("clang++")
KERNELS = Path(nvrtc.__file__).parent / "kernels"
MARGIN = 4096  # bytes
HEADER = Path(__file__).with_name("host_cuda.h")

needs_nvrtc = pytest.mark.skipif(nvrtc.why_no_kernels() is not None, reason=str(nvrtc.why_no_kernels()))
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")


@functools.lru_cache(maxsize=1)
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="host_cuda_"))


@functools.lru_cache(maxsize=256)
def build(kernel: Kernel) -> Any:
    """The kernel as a function (grid x, grid y, threads, shared bytes, seed, arguments) -> number of failures."""
    text = "\n".join([
        f'#include "{HEADER}"',
        *(f"#define {name} {value}" for name, value in kernel.defines),
        f'#include "{KERNELS / kernel.source}"',
        'extern "C" int host_launch(unsigned x, unsigned y, unsigned threads, size_t shared, unsigned seed, void** arguments) {',
        f"    return host::launch({kernel.name}, dim3{{x, y, 1}}, threads, shared, seed, arguments);",
        "}",
    ])  # fmt: skip
    path = _folder() / f"{kernel.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    path.with_suffix(".cpp").write_text(text, encoding="utf-8")
    options = ["-std=c++17", "-O1", "-shared", "-fPIC", "-ffp-contract=off", "-Wno-unknown-pragmas", "-Wno-attributes"]
    command = [COMPILER, *options, f"-I{KERNELS}", path.with_suffix(".cpp"), "-o", path.with_suffix(".so")]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{kernel} does not build on the host:\n{done.stderr[:4000]}")
    function = ctypes.CDLL(str(path.with_suffix(".so"))).host_launch
    function.argtypes = [ctypes.c_uint] * 3 + [ctypes.c_size_t, ctypes.c_uint, ctypes.c_void_p]
    return function


def registers_without_spills(kernel: Kernel) -> int:
    """Registers of a thread when compiled for an H100 or H200; none of them may go to memory."""
    log = nvrtc.compile_kernel(kernel, "sm_90").log
    (said,) = [text for text in log.split("Compiling entry function")[1:] if f"'{kernel.name}'" in text]
    assert "0 bytes spill stores, 0 bytes spill loads" in said, said
    return int(re.findall(r"Used (\d+) registers", said)[0])


class HostKernels:
    """What the fixture gives: set `seed` for another order of threads (0: as they are numbered); `launched` names what ran.

    Tensors lie between margins of NaN while a kernel runs: what is read beside them shows itself, what is written there is told.
    """

    def __init__(self) -> None:
        self.seed = 1
        self.launched: list[str] = []
        self._pack = nvrtc._packed
        self._lent: dict[int, tuple[Tensor, Tensor]] = {}  # by the address of a tensor's values: itself, and where it lies now

    def packed(self, arguments: Sequence[Argument]) -> Any:
        pointers = self._pack(arguments)
        self._lent.clear()
        for value, argument in zip(pointers.kept, arguments, strict=True):
            if isinstance(argument, Tensor) and argument.numel():
                address, size = argument.data_ptr(), argument.numel() * argument.element_size()
                if address not in self._lent:
                    here = torch.full((size + 2 * MARGIN,), 0xFF, dtype=torch.uint8)
                    ctypes.memmove(here.data_ptr() + MARGIN, address, size)
                    self._lent[address] = argument, here
                value.value = self._lent[address][1].data_ptr() + MARGIN
        return pointers

    def start(self, kernel: Kernel, grid: tuple[int, int], block: int, shared_bytes: int, packed: int, _: torch.device) -> None:
        self.launched.append(kernel.name)
        failures = build(kernel)(*grid, block, shared_bytes, self.seed, packed)
        if failures:
            raise RuntimeError(f"{kernel.name} breaks a rule of CUDA {failures} times; see above")
        for address, (tensor, here) in self._lent.items():
            margins = here.numpy()  # no operation of torch: a test may count those
            if not ((margins[:MARGIN] == 0xFF).all() and (margins[-MARGIN:] == 0xFF).all()):
                raise RuntimeError(f"{kernel.name} writes outside of a tensor of shape {tuple(tensor.shape)}")
            ctypes.memmove(address, here.data_ptr() + MARGIN, len(here) - 2 * MARGIN)


@pytest.fixture
def host_kernels(monkeypatch: pytest.MonkeyPatch) -> HostKernels:
    """The emulation in the driver's place, for CPU tensors."""
    host = HostKernels()
    monkeypatch.setattr(nvrtc, "_function", lambda kernel, device, shared_bytes: kernel)
    monkeypatch.setattr(nvrtc, "_start", host.start)
    monkeypatch.setattr(nvrtc, "_packed", host.packed)
    monkeypatch.setattr(nvrtc, "DEVICE", "cpu")
    return host


@lasting
def stand_in(function: Any, tensors: tuple[Tensor, ...], holds: Any) -> Graph:
    """In place of `graphs._record`: what replays is the function itself, into the outputs of its first call."""
    inputs = tuple(tensor.clone() for tensor in tensors)
    outputs = function(*inputs)

    @lasting
    def replay() -> None:
        for output, new in zip(outputs, function(*inputs), strict=True):
            output.copy_(new)

    return Graph(replay, inputs, outputs, holds)
