"""What `torchmelinv doctor` found out about the kernels on this machine.

A verdict holds for one kind of device with its driver, one version of torch, and one text of the
kernels. `auto` reads it at the first operation on a CUDA device, once in a process for each device.
A file that is damaged, belongs to another user or describes another machine counts as none.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch

from torchmelinv._utils.private_cache import cache_folder, read_private, write_private
from torchmelinv._utils.text import plain
from torchmelinv.cuda import nvrtc

RIGHT_AND_FASTER = "right and faster"
MAX_BYTES = 2**20
_PACKAGE = __name__.partition(".")[0]  # it imports this module, and not the other way round
_DRIVER = Path("/proc/driver/nvidia/version")

Machine = dict[str, str]


def driver_version(path: Path = _DRIVER) -> str:
    """Return the version of NVIDIA's driver, and of CUDA in it; "" without a driver."""
    try:
        words = path.read_text(encoding="utf-8", errors="replace").splitlines()[:1]
    except OSError:
        words = []
    versions = re.findall(r"\s(\d+\.[\d.]+)\s", "".join(words))[:1]
    number = nvrtc.driver_version()
    if number:  # 12040 is version 12.4
        versions.append(f"CUDA {number // 1000}.{number % 1000 // 10}")
    return ", ".join(versions)


@functools.cache
def kernel_hash() -> str:
    """Return the hash of the kernels and of the modules that launch them."""
    texts = {
        file.name: file.read_text(encoding="utf-8")
        for file in files("torchmelinv.cuda").iterdir()
        if file.name.endswith(".py")
    }
    text = repr(sorted({**texts, **nvrtc.sources()}.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def machine(index: int) -> Machine:
    """Return what a verdict about a CUDA device depends on."""
    properties: Any = torch.cuda.get_device_properties(index)
    return {
        "device": properties.name,
        "capability": f"{properties.major}.{properties.minor}",
        "driver": driver_version(),
        "torch": torch.__version__,
        "cuda": str(torch.version.cuda),
        "torchmelinv": str(sys.modules[_PACKAGE].__version__),
        "kernels": kernel_hash(),
    }


def verdict_path(of: Machine) -> Path | None:
    """Return the file of the verdict about a machine, or None if there is no cache folder."""
    folder = cache_folder()
    name = hashlib.sha256(repr(sorted(of.items())).encode()).hexdigest()
    return None if folder is None else folder / f"verdict-{name[:32]}.json"


def _parse(data: bytes, of: Machine) -> dict[str, Any]:
    """Return the verdict in a file; raise ValueError if it is damaged or about another machine."""
    digest, _, text = data.partition(b"\n")
    if hashlib.sha256(text).hexdigest().encode() != digest:
        raise ValueError("it is damaged")
    verdict = json.loads(text)
    if verdict["machine"] != of:
        raise ValueError("it is about another machine")
    return dict(verdict)


def read_verdict(of: Machine) -> dict[str, Any] | None:
    """Return the verdict about a machine: a dictionary with `operations` and `rows`.

    Args:
        of: The machine.

    Returns:
        The verdict, or None if there is none that can be trusted.
    """
    path = verdict_path(of)
    try:
        return None if path is None else _parse(read_private(path, MAX_BYTES), of)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_verdict(of: Machine, operations: Mapping[str, str], rows: list[Any]) -> Path:
    """Write the verdict about a machine.

    Args:
        of: The machine.
        operations: The verdict about each operation, such as `RIGHT_AND_FASTER`.
        rows: The measurements, for people.

    Returns:
        The file.

    Raises:
        OSError: If the file cannot be written, or if others may write its folder.
    """
    path = verdict_path(of)
    if path is None:
        raise OSError("there is no cache folder: this user has no home")
    verdict = plain({"machine": of, "operations": operations, "rows": rows})
    text = json.dumps(verdict, indent=1).encode()
    write_private(path, hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
    return path


@functools.cache
def _verified_on(index: int) -> frozenset[str]:
    """Return the operations whose kernels are right and faster on a device; read once."""
    operations = (read_verdict(machine(index)) or {}).get("operations", {})
    return frozenset(name for name, found in operations.items() if found == RIGHT_AND_FASTER)


def _device_count() -> int:
    """Return the number of CUDA devices in use; 0 in a process that has used none."""
    return torch.cuda.device_count() if torch.cuda.is_initialized() else 0


def verified_operations() -> frozenset[str]:
    """Return the operations whose kernels are right and faster on every CUDA device in use.

    Never makes the host wait for a device.
    """
    count = _device_count()
    return frozenset.intersection(*map(_verified_on, range(count))) if count else frozenset()


def forget() -> None:
    """Read the verdicts again when they are next needed."""
    _verified_on.cache_clear()
