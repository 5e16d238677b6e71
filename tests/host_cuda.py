"""CUDA kernels without a GPU: built by a host compiler, with the threads of `host_cuda.h`.

The fixture `host_kernels` replaces the CUDA driver, so that all code above a launch, including the
allocations and grids of cuda/*_cuda.py, runs on CPU tensors as on a device. The threads of a block
run in an order that a seed selects: results that depend on a missing barrier differ from seed to
seed. The emulation checks results, not speed.
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

from torchmelinv._utils.precision import outside_inference_mode
from torchmelinv.cuda import nvrtc
from torchmelinv.cuda.graphs import Graph
from torchmelinv.cuda.nvrtc import Argument, Kernel

COMPILER = shutil.which("g++") or shutil.which("clang++")
OPTIONS = [
    "-std=c++17",
    "-O1",
    "-shared",
    "-fPIC",
    "-ffp-contract=off",
    "-Wno-unknown-pragmas",
    "-Wno-attributes",
]
KERNELS = Path(nvrtc.__file__).parent / "kernels"
MARGIN = 4096  # bytes
HEADER = Path(__file__).with_name("host_cuda.h")
SOURCE = """
extern "C" int host_launch(
    unsigned x, unsigned y, unsigned threads, size_t shared, unsigned seed, void** arguments
) {
    return host::launch(KERNEL_NAME, dim3{x, y, 1}, threads, shared, seed, arguments);
}
"""

needs_nvrtc = pytest.mark.skipif(
    nvrtc.unavailable_reason() is not None, reason=str(nvrtc.unavailable_reason())
)
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")


@functools.lru_cache(maxsize=1)
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="host_cuda_"))


@functools.lru_cache(maxsize=256)
def build(kernel: Kernel) -> Any:
    """Return the kernel as a function that returns its number of failures.

    The function takes grid x, grid y, threads, shared bytes, seed and the packed arguments.
    """
    lines = [
        f'#include "{HEADER}"',
        *(f"#define {name} {value}" for name, value in kernel.defines),
        f'#include "{KERNELS / kernel.source}"',
        SOURCE.replace("KERNEL_NAME", kernel.name),
    ]
    text = "\n".join(lines)
    path = _folder() / f"{kernel.name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    source, library = path.with_suffix(".cpp"), path.with_suffix(".so")
    source.write_text(text, encoding="utf-8")
    command = [str(COMPILER), *OPTIONS, f"-I{KERNELS}", str(source), "-o", str(library)]
    # Not in the encoding of the locale: NVRTC 12 leaves that at ASCII.
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise RuntimeError(f"{kernel} does not build on the host:\n{done.stderr[:4000]}")
    function = ctypes.CDLL(str(library)).host_launch
    function.argtypes = [ctypes.c_uint] * 3 + [ctypes.c_size_t, ctypes.c_uint, ctypes.c_void_p]
    return function


def registers_without_spills(kernel: Kernel) -> int:
    """Return the registers of a thread on an H100 or H200; fail if any are spilled to memory."""
    log = nvrtc.compile_kernel(kernel, "sm_90").log
    entries = log.split("Compiling entry function")[1:]
    (report,) = [entry for entry in entries if f"'{kernel.name}'" in entry]
    assert "0 bytes spill stores, 0 bytes spill loads" in report, report
    return int(re.findall(r"Used (\d+) registers", report)[0])


class HostKernels:
    """The emulation: `seed` selects the order of threads (0: by number), `launched` lists kernels.

    While a kernel runs, tensors lie between margins of NaN: reads beside a tensor give NaN, and
    writes beside it raise an error.
    """

    def __init__(self) -> None:
        self.seed = 1
        self.launched: list[str] = []
        self._pack = nvrtc._pack
        # Address of the values of a tensor -> the tensor, and its copy with margins.
        self._copies: dict[int, tuple[Tensor, Tensor]] = {}

    def pack(self, arguments: Sequence[Argument]) -> Any:
        pointers = self._pack(arguments)
        self._copies.clear()
        for value, argument in zip(pointers.values, arguments, strict=True):
            if isinstance(argument, Tensor) and argument.numel():
                address, size = argument.data_ptr(), argument.numel() * argument.element_size()
                if address not in self._copies:
                    copy = torch.full((size + 2 * MARGIN,), 0xFF, dtype=torch.uint8)
                    ctypes.memmove(copy.data_ptr() + MARGIN, address, size)
                    self._copies[address] = argument, copy
                value.value = self._copies[address][1].data_ptr() + MARGIN
        return pointers

    def start(
        self,
        kernel: Kernel,
        grid: tuple[int, int],
        block: int,
        shared_bytes: int,
        packed: int,
        _: torch.device,
    ) -> None:
        self.launched.append(kernel.name)
        failures = build(kernel)(*grid, block, shared_bytes, self.seed, packed)
        if failures:
            raise RuntimeError(f"{kernel.name} breaks a rule of CUDA {failures} times; see above")
        for address, (tensor, copy) in self._copies.items():
            margins = copy.numpy()  # no operation of torch: a test may count those
            if not ((margins[:MARGIN] == 0xFF).all() and (margins[-MARGIN:] == 0xFF).all()):
                shape = tuple(tensor.shape)
                raise RuntimeError(f"{kernel.name} writes outside of a tensor of shape {shape}")
            ctypes.memmove(address, copy.data_ptr() + MARGIN, len(copy) - 2 * MARGIN)


@pytest.fixture
def host_kernels(monkeypatch: pytest.MonkeyPatch) -> HostKernels:
    """Run kernels in emulation, on CPU tensors."""
    host = HostKernels()
    monkeypatch.setattr(nvrtc, "_function", lambda kernel, device, shared_bytes: kernel)
    monkeypatch.setattr(nvrtc, "_start", host.start)
    monkeypatch.setattr(nvrtc, "_pack", host.pack)
    monkeypatch.setattr(nvrtc, "DEVICE", "cpu")
    return host


@outside_inference_mode
def fake_capture(function: Any, tensors: tuple[Tensor, ...], keep_alive: Any) -> Graph:
    """Replace `graphs.capture`: a replay calls the function and writes to the first outputs."""
    inputs = tuple(tensor.clone() for tensor in tensors)
    outputs = function(*inputs)

    @outside_inference_mode
    def replay() -> None:
        for output, new in zip(outputs, function(*inputs), strict=True):
            output.copy_(new)

    return Graph(replay, inputs, outputs, keep_alive)
