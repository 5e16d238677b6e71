"""CUDA C++ to running kernels, with what torch's own CUDA wheels bring: NVRTC compiles, the driver loads and launches.

Nothing is compiled before it is needed, and no compiler is needed on the machine. What was compiled is kept on disk, by source,
defines, architecture and compiler version, in $TORCHMELINV_CACHE or the user's cache folder; where that cannot be written it is
compiled anew in each process (a second or two).
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmelinv.errors import DependencyError

Argument = Tensor | int | float | None  # a pointer to the tensor's values, an int, a float, a null pointer
DEVICE = "cuda"  # the kind of device whose tensors kernels take
OLDEST = (8, 0)  # compute capability; older devices have too little shared memory for some sizes
OPTIONS = ("--std=c++17", "--ptxas-options=-v")  # of the compiler
STATIC_SHARED = 48 * 1024  # bytes of shared memory that a block gets without asking


class Kernel(NamedTuple):
    """One kernel, specialised at compile time."""

    source: str  # a file in ops/kernels
    name: str
    defines: tuple[tuple[str, int | float], ...] = ()


class Cubin(NamedTuple):
    """Machine code, and what the assembler said of registers and spills ("" where it came from disk)."""

    code: bytes
    log: str


@functools.lru_cache(maxsize=1)
def sources() -> dict[str, str]:
    """All of ops/kernels: name -> text."""
    folder = files("torchmelinv.ops") / "kernels"
    return {file.name: file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith((".cu", ".cuh"))}


def _bindings() -> Any:
    """cuda.bindings' nvrtc and driver."""
    try:
        from cuda.bindings import driver, nvrtc
    except ImportError as error:
        raise DependencyError(f"the kernels need cuda-bindings, which torch's CUDA wheels for Linux bring ({error})") from None
    return nvrtc, driver


def _ask(function: Any, *arguments: Any) -> Any:
    """A call of the bindings: its results without the status, which raises where it is not success."""
    status, *results = function(*arguments)
    if int(status) != 0:
        raise RuntimeError(f"{getattr(function, '__name__', function)} failed: {status!r}")
    return results[0] if len(results) == 1 else results


@functools.lru_cache(maxsize=1)
def why_no_kernels() -> str | None:
    """What keeps kernels from being compiled on this machine, if anything does."""
    if torch.version.hip is not None:
        return "they are for NVIDIA devices"
    try:
        _ask(_bindings()[0].nvrtcVersion)
    except (DependencyError, RuntimeError) as error:
        return str(error)
    return None


def most_shared_bytes(device: torch.device) -> int:
    """Of shared memory that a block can ask for."""
    if device.type != "cuda":
        return 227 * 1024  # in emulation, as on the H100 and H200
    properties: Any = torch.cuda.get_device_properties(device)
    return int(properties.shared_memory_per_block_optin)


def why_not(tensor: Tensor) -> str | None:
    """What keeps kernels from taking this tensor, if anything does."""
    if tensor.device.type != DEVICE:
        return f"the tensors are on {tensor.device}, not on a CUDA device (`.cuda()`, `--device cuda`)"
    if DEVICE == "cuda" and torch.cuda.get_device_capability(tensor.device) < OLDEST:
        return "the kernels are for devices of compute capability 8.0 (A100, RTX 30) and newer"
    if tensor.dtype != torch.float32:
        return f"the tensors are {tensor.dtype}, and the kernels are written for float32"
    return why_no_kernels()


def compile_kernel(kernel: Kernel, architecture: str) -> Cubin:
    """Compile for an architecture such as "sm_90"; needs no device."""
    nvrtc, _ = _bindings()
    texts = sources()
    headers = {name: text for name, text in texts.items() if name.endswith(".cuh")}
    program = _ask(
        nvrtc.nvrtcCreateProgram,
        texts[kernel.source].encode(),
        kernel.source.encode(),
        len(headers),
        [text.encode() for text in headers.values()],
        [name.encode() for name in headers],
    )
    options = [f"--gpu-architecture={architecture}", *OPTIONS]
    options += [f"--define-macro={name}={value}" for name, value in kernel.defines]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(options), [option.encode() for option in options])
    log = bytearray(_ask(nvrtc.nvrtcGetProgramLogSize, program))
    _ask(nvrtc.nvrtcGetProgramLog, program, log)
    said = log.rstrip(b"\0").decode(errors="replace")
    code = bytearray(_ask(nvrtc.nvrtcGetCUBINSize, program) if int(status) == 0 else 0)
    if code:
        _ask(nvrtc.nvrtcGetCUBIN, program, code)
    _ask(nvrtc.nvrtcDestroyProgram, program)
    if not code:
        raise RuntimeError(f"{kernel} does not compile for {architecture}:\n{said}")
    return Cubin(bytes(code), said)


def _cache_folder() -> Path:
    named, for_all = os.environ.get("TORCHMELINV_CACHE"), os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(named) if named else Path(for_all) / "torchmelinv"


def cached_kernel(kernel: Kernel, architecture: str) -> Cubin:
    """`compile_kernel`, or what it gave earlier for the same source, defines, architecture and compiler."""
    version = _ask(_bindings()[0].nvrtcVersion)
    parts = [repr(sorted(sources().items())), kernel.source, repr(kernel.defines), architecture, repr(version), repr(OPTIONS)]
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    path = _cache_folder() / f"{Path(kernel.source).stem}-{architecture}-{name[:32]}.cubin"
    try:
        digest, code = (path.read_bytes()[:32], path.read_bytes()[32:])
        if hashlib.sha256(code).digest() == digest:
            return Cubin(code, "")
    except OSError:
        pass
    cubin = compile_kernel(kernel, architecture)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(hashlib.sha256(cubin.code).digest() + cubin.code)
        os.replace(file.name, path)
    except OSError:
        pass  # a cache that cannot be written costs time, not results
    return cubin


@functools.cache
def _module(whole: Kernel, device: int) -> Any:
    """All kernels of one source with the same defines, loaded. They stay so for the life of the process; graphs may hold them."""
    major, minor = torch.cuda.get_device_capability(device)
    return _ask(_bindings()[1].cuModuleLoadData, cached_kernel(whole, f"sm_{major}{minor}").code)


@functools.cache
def _function(kernel: Kernel, device: int, shared_bytes: int) -> Any:
    """The loaded kernel, allowed so much shared memory."""
    _, driver = _bindings()
    _enter(driver, device)
    function = _ask(driver.cuModuleGetFunction, _module(kernel._replace(name=""), device), kernel.name.encode())
    if shared_bytes > STATIC_SHARED:
        attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
        _ask(driver.cuFuncSetAttribute, function, attribute, shared_bytes)
    return function


def _enter(driver: Any, device: int) -> None:
    """Make the device's context this thread's own, where it has none yet: autograd's threads may call no other library before."""
    if int(_ask(driver.cuCtxGetCurrent)) == 0:
        _ask(driver.cuCtxSetCurrent, _ask(driver.cuDevicePrimaryCtxRetain, _ask(driver.cuDeviceGet, device)))


def _start(function: Any, grid: tuple[int, int], block: int, shared_bytes: int, packed: int, device: torch.device) -> None:
    _, driver = _bindings()
    _enter(driver, device.index or 0)
    stream = torch.cuda.current_stream(device).cuda_stream
    _ask(driver.cuLaunchKernel, function, *grid, 1, block, 1, 1, shared_bytes, stream, packed, 0)


def _packed(arguments: Sequence[Argument]) -> Any:
    """Arguments as the driver takes them: an array of pointers to values; keep it alive until the launch returned."""
    values: list[Any] = []
    for argument in arguments:
        if isinstance(argument, Tensor):
            if not argument.is_contiguous():
                raise ValueError(f"a kernel's tensors must be contiguous, not of strides {argument.stride()}")
            values.append(ctypes.c_void_p(argument.data_ptr()))
        elif argument is None:
            values.append(ctypes.c_void_p(None))
        elif isinstance(argument, int):
            values.append(ctypes.c_int(argument))
        else:
            values.append(ctypes.c_float(argument))
    pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
    pointers.kept = values  # type: ignore[attr-defined]
    return pointers


def launch(kernel: Kernel, grid: tuple[int, int], block: int, *arguments: Argument, shared_bytes: int = 0) -> None:
    """Start the kernel on the current stream of the first tensor's device, with `grid` blocks of `block` threads.

    No wait for the device. Tensors must be contiguous; ints arrive as `int`, floats as `float`.
    """
    first = next(argument for argument in arguments if isinstance(argument, Tensor))
    packed = _packed(arguments)
    with torch.cuda.device_of(first):
        function = _function(kernel, first.device.index or 0, shared_bytes)
        _start(function, grid, block, shared_bytes, ctypes.addressof(packed), first.device)
