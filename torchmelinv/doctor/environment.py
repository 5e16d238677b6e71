"""The environment, for bug reports: versions, devices, settings."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import math
import os
import platform
import re
from typing import Any

import torch

import torchmelinv
from torchmelinv._utils.available_memory import available_memory
from torchmelinv._utils.private_cache import cache_folder
from torchmelinv.cuda import backend, graphs, nvrtc, verdicts

GIGABYTE = 1e9
_EXTRA = re.compile(r"([\w.-]+).*;.*extra\s*==\s*[\"']([\w-]+)[\"']")


def _loads(module: str) -> str:
    """Return the version of a module, or why there is none."""
    try:
        loaded: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        return "not installed" if error.name == module else f"does not load ({error})"
    except Exception as error:  # torchaudio beside another torch raises errors of several kinds
        return f"does not load ({type(error).__name__}: {str(error).splitlines()[0][:200]})"
    version = str(getattr(loaded, "__version__", "unknown version"))
    library = getattr(loaded, "__libsndfile_version__", None)
    return version if library is None else f"{version}, libsndfile {library}"


def _version(distribution: str) -> str | None:
    """Return the version of an installed package without importing it."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


@functools.cache
def _extras() -> dict[str, list[str]]:
    """Return the packages of each extra, without those for development."""
    try:
        requirements = importlib.metadata.requires("torchmelinv") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    extras: dict[str, list[str]] = {}
    for match in filter(None, map(_EXTRA.match, requirements)):
        if match[2] != "dev":
            extras.setdefault(match[2], []).append(match[1])
    return extras


def _installed(extra: str) -> str:
    """Return the versions of an extra's packages."""
    found = {package: _version(package) for package in _extras()[extra]}
    return ", ".join(f"{package} {version or 'missing'}" for package, version in found.items())


def _gigabytes(size: float) -> str:
    return f"{size / GIGABYTE:.1f} GB" if math.isfinite(size) else "unknown"


def gpus() -> list[str]:
    """Return a line about each CUDA device."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    properties: list[Any] = [torch.cuda.get_device_properties(index) for index in range(count)]
    return [
        f"{each.name}, compute capability {each.major}.{each.minor}, "
        f"{_gigabytes(each.total_memory)}"
        for each in properties
    ]


def _verdicts() -> list[str]:
    """Return how many operations backend `auto` runs by kernels on each CUDA device."""
    found = []
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        operations = (verdicts.read_verdict(verdicts.machine(index)) or {}).get("operations", {})
        used = list(operations.values()).count(verdicts.RIGHT_AND_FASTER)
        found.append(f"{used} of {len(operations)} operations" if operations else "not checked")
    return found


def _system() -> dict[str, Any]:
    return {
        "torchmelinv": torchmelinv.__version__,
        "Python": platform.python_version(),
        # platform.platform() would start a program.
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "CPU threads": torch.get_num_threads(),
        "available memory": _gigabytes(available_memory()),
    }


def _cuda() -> dict[str, Any]:
    cudnn = torch.backends.cudnn.version() if torch.backends.cudnn.is_available() else None
    return {
        "torch": torch.__version__,
        "CUDA of torch": torch.version.cuda or "none",
        "cuDNN": str(cudnn or "none"),
        "driver": verdicts.driver_version() or "none",
        "GPUs": gpus(),
        "cuda-bindings": _version("cuda-bindings") or "missing",
        "NVRTC": nvrtc.unavailable_reason() or "loads",
        "kernels used by 'auto'": _verdicts(),
    }


def environment() -> dict[str, Any]:
    """Return the environment as names and values for people."""
    report = {**_system(), **_cuda()}
    for module in ("torchaudio", "soundfile", "soxr"):
        report[module] = _loads(module)
    report |= {f"extra {extra}": _installed(extra) for extra in _extras()}
    for name in (backend.ENVIRONMENT_VARIABLE, graphs.ENVIRONMENT_VARIABLE):
        report[name] = os.environ.get(name) or "not set"
    return {**report, "cache folder": str(cache_folder() or "none: this user has no home")}
