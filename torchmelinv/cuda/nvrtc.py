"""Compile and launch CUDA C++ with the tools of torch's own CUDA wheels: NVRTC and the driver.

Kernels are compiled when they are first needed, and the machine needs no compiler. Compiled kernels
are cached on disk, by source, defines, architecture and compiler version, in $TORCHMELINV_CACHE or
the user's cache folder. Where that folder cannot be written, or others than the user may write it,
each process compiles again (a second or two).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmelinv._utils.private_cache import cache_folder, read_private, write_private
from torchmelinv._utils.tracing import is_traced
from torchmelinv.errors import DependencyError

# A pointer to the values of a tensor, an int, a float, or a null pointer.
Argument = Tensor | int | float | None
DEVICE = "cuda"  # the type of device whose tensors kernels take
MIN_CAPABILITY = (8, 0)  # older devices have too little shared memory for some sizes
COMPILER_OPTIONS = ("--std=c++17", "--ptxas-options=-v")
DEFAULT_SHARED_BYTES = 48 * 1024  # shared memory of a block without a request


class Kernel(NamedTuple):
    """One kernel, specialized at compile time."""

    source: str  # a file in cuda/kernels
    name: str
    defines: tuple[tuple[str, int | float], ...] = ()


class Cubin(NamedTuple):
    """Machine code, and the assembler's report of registers and spills ("" from the cache)."""

    code: bytes
    log: str


@functools.lru_cache(maxsize=1)
def sources() -> dict[str, str]:
    """Return the text of each file in cuda/kernels by name."""
    folder = files("torchmelinv.cuda") / "kernels"
    return {
        file.name: file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith((".cu", ".cuh"))
    }


def _bindings() -> Any:
    """Return the modules nvrtc and driver of cuda.bindings."""
    try:
        from cuda.bindings import driver, nvrtc
    except ImportError as error:
        # Wheels before torch 2.11 do not require it. It loads the NVRTC of its own major version.
        major = (torch.version.cuda or "13").partition(".")[0]
        raise DependencyError(
            "the kernels need cuda-bindings, which torch's newer CUDA wheels for Linux bring "
            f"({error}); `pip install 'cuda-bindings=={major}.*'` provides it"
        ) from None
    return nvrtc, driver


def _call(function: Any, *arguments: Any) -> Any:
    """Call a function of the bindings; return its results without the status, or raise an error."""
    status, *results = function(*arguments)
    if int(status) != 0:
        raise RuntimeError(f"{getattr(function, '__name__', function)} failed: {status!r}")
    return results[0] if len(results) == 1 else results


@functools.lru_cache(maxsize=1)
def unavailable_reason() -> str | None:
    """Return why this machine cannot compile kernels, or None if it can."""
    if torch.version.hip is not None:
        return "they are for NVIDIA devices"
    try:
        _call(_bindings()[0].nvrtcVersion)
    except (DependencyError, RuntimeError) as error:
        return str(error)
    return None


def driver_version() -> int:
    """Return the version of CUDA in NVIDIA's driver, such as 12040; 0 without a driver."""
    try:
        return int(_call(_bindings()[1].cuDriverGetVersion))
    except (DependencyError, RuntimeError):
        return 0


def max_shared_bytes(device: torch.device) -> int:
    """Return the shared memory that a block can request."""
    if device.type != "cuda":
        return 227 * 1024  # in emulation, as on the H100 and H200
    properties: Any = torch.cuda.get_device_properties(device)
    return int(properties.shared_memory_per_block_optin)


def unsupported_reason(tensor: Tensor) -> str | None:
    """Return why kernels cannot take this tensor, or None if they can."""
    device = tensor.device
    if device.type != DEVICE:
        return f"the tensors are on {device}, not on a CUDA device (`.cuda()`, `--device cuda`)"
    if DEVICE == "cuda" and torch.cuda.get_device_capability(device) < MIN_CAPABILITY:
        return "the kernels are for devices of compute capability 8.0 (A100, RTX 30) and newer"
    if is_traced(tensor):
        return "the tensors have no values (fake tensors, or torch.compile or torch.export)"
    if tensor.dtype != torch.float32:
        return f"the tensors are {tensor.dtype}, and the kernels are written for float32"
    return unavailable_reason()


def compile_kernel(kernel: Kernel, architecture: str) -> Cubin:
    """Compile a kernel for an architecture such as "sm_90"; needs no device."""
    nvrtc, _ = _bindings()
    texts = sources()
    headers = {name: text for name, text in texts.items() if name.endswith(".cuh")}
    program = _call(
        nvrtc.nvrtcCreateProgram,
        texts[kernel.source].encode(),
        kernel.source.encode(),
        len(headers),
        [text.encode() for text in headers.values()],
        [name.encode() for name in headers],
    )
    options = [f"--gpu-architecture={architecture}", *COMPILER_OPTIONS]
    options += [f"--define-macro={name}={value}" for name, value in kernel.defines]
    encoded = [option.encode() for option in options]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(encoded), encoded)
    log = bytearray(_call(nvrtc.nvrtcGetProgramLogSize, program))
    _call(nvrtc.nvrtcGetProgramLog, program, log)
    message = log.rstrip(b"\0").decode(errors="replace")
    code = bytearray(_call(nvrtc.nvrtcGetCUBINSize, program) if int(status) == 0 else 0)
    if code:
        _call(nvrtc.nvrtcGetCUBIN, program, code)
    _call(nvrtc.nvrtcDestroyProgram, program)
    if not code:
        raise RuntimeError(f"{kernel} does not compile for {architecture}:\n{message}")
    return Cubin(bytes(code), message)


def cached_kernel(kernel: Kernel, architecture: str) -> Cubin:
    """Compile a kernel, or read it from the cache on disk."""
    folder = cache_folder()
    if folder is None:
        return compile_kernel(kernel, architecture)
    version = _call(_bindings()[0].nvrtcVersion)
    parts = [
        repr(sorted(sources().items())),
        kernel.source,
        repr(kernel.defines),
        architecture,
        repr(version),
        repr(COMPILER_OPTIONS),
    ]
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    path = folder / f"{Path(kernel.source).stem}-{architecture}-{name[:32]}.cubin"
    data = b""
    with contextlib.suppress(OSError):  # none there, or one that others may have written
        data = read_private(path)
    digest, code = data[:32], data[32:]
    if hashlib.sha256(code).digest() == digest:
        return Cubin(code, "")
    cubin = compile_kernel(kernel, architecture)
    with contextlib.suppress(OSError):
        write_private(path, hashlib.sha256(cubin.code).digest() + cubin.code)
    return cubin


@functools.cache
def _module(kernel: Kernel, device: int) -> Any:
    """Load all kernels of one source with the same defines; `kernel` has no name.

    They stay loaded for the life of the process; CUDA graphs may hold them.
    """
    major, minor = torch.cuda.get_device_capability(device)
    cubin = cached_kernel(kernel, f"sm_{major}{minor}")
    return _call(_bindings()[1].cuModuleLoadData, cubin.code)


@functools.cache
def _function(kernel: Kernel, device: int, shared_bytes: int) -> Any:
    """Return the loaded kernel, with so much shared memory allowed."""
    _, driver = _bindings()
    _set_context(driver, device)
    module = _module(kernel._replace(name=""), device)
    function = _call(driver.cuModuleGetFunction, module, kernel.name.encode())
    if shared_bytes > DEFAULT_SHARED_BYTES:
        attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        _call(driver.cuFuncSetAttribute, function, attribute, shared_bytes)
    return function


def _set_context(driver: Any, device: int) -> None:
    """Give this thread the context of the device if it has none; a thread of autograd may not."""
    if int(_call(driver.cuCtxGetCurrent)) == 0:
        handle = _call(driver.cuDeviceGet, device)
        _call(driver.cuCtxSetCurrent, _call(driver.cuDevicePrimaryCtxRetain, handle))


def _start(
    function: Any,
    grid: tuple[int, int],
    block: int,
    shared_bytes: int,
    packed: int,
    device: torch.device,
) -> None:
    _, driver = _bindings()
    _set_context(driver, device.index or 0)
    stream = torch.cuda.current_stream(device).cuda_stream
    _call(driver.cuLaunchKernel, function, *grid, 1, block, 1, 1, shared_bytes, stream, packed, 0)


def _pack(arguments: Sequence[Argument]) -> Any:
    """Return the array of pointers to values that the driver takes; keep it until the launch."""
    values: list[Any] = []
    for argument in arguments:
        if isinstance(argument, Tensor):
            if not argument.is_contiguous():
                strides = argument.stride()
                raise ValueError(f"a kernel's tensors must be contiguous, not of strides {strides}")
            values.append(ctypes.c_void_p(argument.data_ptr()))
        elif argument is None:
            values.append(ctypes.c_void_p(None))
        elif isinstance(argument, int):
            values.append(ctypes.c_int(argument))
        else:
            values.append(ctypes.c_float(argument))
    pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
    pointers.values = values  # type: ignore[attr-defined]
    return pointers


def launch(
    kernel: Kernel, grid: tuple[int, int], block: int, *arguments: Argument, shared_bytes: int = 0
) -> None:
    """Launch a kernel on the current stream of the device of its first tensor.

    The launch does not wait for the device.

    Args:
        kernel: The kernel.
        grid: Number of blocks, in x and y.
        block: Threads of a block.
        *arguments: Contiguous tensors; ints and floats, which arrive as `int` and `float`; None for
            a null pointer.
        shared_bytes: Dynamic shared memory of a block.
    """
    first = next(argument for argument in arguments if isinstance(argument, Tensor))
    packed = _pack(arguments)
    with torch.cuda.device_of(first):
        function = _function(kernel, first.device.index or 0, shared_bytes)
        _start(function, grid, block, shared_bytes, ctypes.addressof(packed), first.device)
