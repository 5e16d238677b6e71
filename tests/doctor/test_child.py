"""The process of one check: what it writes."""

from __future__ import annotations

import io
import json
import sys

import pytest
import torch

from tests.doctor import pretended
from torchmelinv.doctor import child
from torchmelinv.doctor.check import Check

CPU = torch.device("cpu")


def test_each_trial_is_announced(tmp_path):
    path = tmp_path / "rows"
    child.main(["tests.doctor.pretended:checks", "nan", "cpu", str(path)])
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line.get("started") for line in lines] == ["first", None, "second", None]
    assert [line["verdict"] for line in lines[1::2]] == ["right and faster", "wrong"]
    assert lines[3]["error"] is None, "JSON has no NaN"


def test_a_check_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="unpack"):
        child.main(["tests.doctor.pretended:checks", "none", "cpu", str(tmp_path / "rows")])


def test_a_broken_device_ends_the_check(monkeypatch):
    monkeypatch.setattr(child, "_takes_work", lambda _: False)
    file = io.StringIO()
    child.run_check(pretended.checks()[0], CPU, file)
    assert file.getvalue().count("started") == 1


def test_a_device_takes_work_until_it_is_broken(monkeypatch):
    assert child._takes_work(CPU)

    def broken(*_, **__):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch, "zeros", broken)
    assert not child._takes_work(CPU)


def test_the_registry_of_the_package_loads():
    checks = child.load_checks("torchmelinv.doctor.kernel_checks:kernel_checks")
    assert all(isinstance(check, Check) for check in checks)
    assert "torchmelinv.doctor.kernel_checks" in sys.modules
