"""How much memory is available, and which errors mean that it ran out."""

from __future__ import annotations

import math

import pytest
import torch

from torchmelinv._utils.available_memory import available_memory, is_out_of_memory


def test_out_of_memory_errors_are_recognized():
    assert is_out_of_memory(torch.OutOfMemoryError())
    assert is_out_of_memory(MemoryError())
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50, dtype=torch.float64)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("shapes differ"))
    assert not is_out_of_memory(ValueError())


def write(path, **values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name} {value}\n" for name, value in values.items()))


def test_the_tightest_limit_counts(tmp_path):
    system, groups = tmp_path / "meminfo", tmp_path / "groups"
    assert available_memory(system, groups) == math.inf
    system.write_text("MemTotal: 9000 kB\nMemAvailable:  4000 kB\n")
    assert available_memory(system, groups) == 4000 * 1024
    groups.mkdir()
    (groups / "memory.max").write_text("max\n")
    (groups / "memory.current").write_text("100\n")
    assert available_memory(system, groups) == 4000 * 1024
    (groups / "memory.max").write_text("1000\n")
    assert available_memory(system, groups) == 900
    write(groups / "memory.stat", anon=1, inactive_file=50)
    assert available_memory(system, groups) == 950
    (groups / "memory.current").write_text("5000\n")
    assert available_memory(system, groups) == 0


def test_the_system_is_asked():
    assert available_memory() > 0
