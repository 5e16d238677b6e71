"""The checks of all kernels, with the host's emulation in place of a device."""

from __future__ import annotations

import pytest
import torch

from tests.host_cuda import needs_compiler
from torchmelinv.cuda import newton_cuda
from torchmelinv.cuda.backend import use_kernel
from torchmelinv.doctor import check as check_module
from torchmelinv.doctor.check import run_trial
from torchmelinv.doctor.kernel_checks import REAL, Scale, kernel_checks

CPU = torch.device("cpu")
CHECKS = {check.name: check for check in kernel_checks(Scale(seconds=0.15, batches=(2,)))}
QUICK = {"spsi", "magnitude step by pairs of frames", "least_distance"}
NAMES = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in CHECKS]
# The modules that ask whether to run a kernel.
ASKING = ("magnitude.dual_newton", "phase.problem", "phase.spsi", "phase.pghi")


def test_every_kernel_has_a_check():
    operations = {check.operation for check in CHECKS.values()}
    assert {"a filterbank inverse", "init 'spsi'", "init 'pghi'"} < operations
    assert len(CHECKS) == len(kernel_checks(REAL))
    for method in newton_cuda.METHODS:
        assert {method, f"gradient of {method}"} <= set(CHECKS)


@needs_compiler
@pytest.mark.parametrize("name", NAMES)
def test_emulated_kernels_pass(host_kernels, monkeypatch, name):
    asked = []

    def noted(operation, reason, kind=None):
        asked.append(kind or operation)
        return use_kernel(operation, reason, kind)

    for module in ASKING:
        monkeypatch.setattr(f"torchmelinv.{module}.use_kernel", noted)
    monkeypatch.setattr(check_module, "_seconds", lambda *_: (2.0, 1.0))
    monkeypatch.setattr(check_module, "_torchaudio_seconds", lambda *_: None)
    check = CHECKS[name]
    trials = list(check.trials(CPU))
    assert trials
    for trial in trials:
        row = run_trial(check, trial, CPU)
        assert row.verdict == "right and faster", row
    # `auto` asks for the operation that the check decides about.
    assert set(asked) <= {check.operation}
    assert asked or name == "spanning forest of pghi"


@pytest.mark.parametrize("name", CHECKS)
def test_without_a_device_nothing_is_supported(name):
    rows = [run_trial(CHECKS[name], trial, CPU) for trial in CHECKS[name].trials(CPU)]
    assert {row.verdict for row in rows} == {"not supported"}
    assert all("not on a CUDA device" in row.reason for row in rows)
