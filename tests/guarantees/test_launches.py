"""The host never waits for a device, but to check or to decide by values, and launches few kernels.

Everything public that takes tensors runs on the pretended device, with gradients. `DECIDES` has all
that must read values, with the reason.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import torchmelinv as tmi
from benchmarks import launches
from tests.pretended_device import pretended_device, recording
from tests.problems import TINY, TINY_LOG
from tests.public import public_objects
from tests.public_calls import CASES, MEL, WAVEFORMS, inverter
from torchmelinv import losses, restoration
from torchmelinv.callbacks import LogInversion

INVERTER = "torchmelinv.MelInverter: "
# Calls that must read values: the most waits, and the reason.
DECIDES: dict[str, tuple[int, str]] = {
    INVERTER + "magnitude nnls": (8, "stops at optimality conditions; looks after rounds"),
    INVERTER + "tolerance": (1, "stops when all items have; looks in every eighth iteration"),
    "torchmelinv.callbacks.LogInversion": (4, "writes two waveforms and two pictures on the CPU"),
    "torchmelinv.restoration.mel_statistics": (4, "checks two mels, and adds up on the CPU"),
    "torchmelinv.compat.librosa.nnls": (11, "nnls, with a copy of its matrix in each call"),
}
# Inversions that copy small tables from the host in each call, so that no CUDA graph has them.
COPIES = {INVERTER + name for name in ("phase mel_consistent, shaped", "lengths")}
COPIES.add(INVERTER + "lengths on the device")
# Computed by packages on the CPU, for whole files or for figures, or from a configuration.
NOT_ON_A_DEVICE = {
    *(f"torchmelinv.metrics.{name}" for name in ("distillmos", "dnsmos", "estoi", "pesq_wb")),
    *(f"torchmelinv.metrics.{name}" for name in ("opinion_scores", "perceptual_scores", "plcmos")),
    *(f"torchmelinv.metrics.{name}" for name in ("f0_rmse_cents", "voicing_error", "dtw_path")),
    "torchmelinv.metrics.gross_pitch_error",
    *(f"torchmelinv.metrics.{name}" for name in ("aligned_mel_scores", "aligned_scores")),
    "torchmelinv.identify",
    "torchmelinv.invert_many",
    "torchmelinv.from_librosa",
    *filter(re.compile(r"torchmelinv\.(corpus|plot|validation)\.").match, public_objects()),
}


def tensors_of(output: Any) -> list[Tensor]:
    """Return the tensors of a nested output."""
    if isinstance(output, Tensor):
        return [output]
    parts = output if isinstance(output, tuple | list) else ()
    return [each for part in parts for each in tensors_of(part)]


def takes_tensors(value: Any) -> bool:
    """Return whether a public object is a function or module of tensors."""
    if inspect.isclass(value):
        return issubclass(value, nn.Module) or value in (tmi.StreamingInverter, LogInversion)
    parameters = inspect.signature(value).parameters.values()
    return any(re.search("Tensor|Array", str(each.annotation)) for each in parameters)


def test_everything_public_has_a_case():
    covered = {name.split(": ")[0] for name in CASES} | NOT_ON_A_DEVICE
    public = {name for name, value in public_objects().items() if takes_tensors(value)}
    assert public - covered == set()


@pytest.mark.parametrize("name", CASES)
def test_no_call_waits(name):
    """Nor does its gradient. The first call makes tables, which may wait."""
    call, inputs = CASES[name]
    most, _ = DECIDES.get(name, (0, ""))
    with pretended_device() as device:
        if isinstance(call, nn.Module):
            call.to(device)
        leaves = [each.detach().to(device) for each in inputs]
        real = [each.requires_grad_() for each in leaves if each.dtype != torch.long]
        call(*leaves)
        with recording() as record:
            outputs = [each for each in tensors_of(call(*leaves)) if each.requires_grad]
            if outputs:
                total = torch.stack([each.abs().sum() for each in outputs]).sum()
                torch.autograd.grad(total, real, allow_unused=True)
    assert record.launches > 0
    assert record.waits.total() <= most, record.waits
    if name.startswith(INVERTER) and name not in {*DECIDES, *COPIES}:
        assert record.copies == {}, "a CUDA graph cannot copy from pageable memory"


CONVENTIONS = {
    "ln": TINY_LOG,
    "linear": TINY,
    "power 0.7": TINY.replace(power=0.7),
}
CHECKED: dict[str, Callable[[Tensor], Any]] = {
    **{
        f"check of {name}": inverter(
            convention=convention, check=True, init="zero", magnitude="transpose"
        )
        for name, convention in CONVENTIONS.items()
    },
}


@pytest.mark.parametrize("name", CHECKED)
def test_a_check_waits_once(name):
    mel = tmi.MelSpectrogram(CHECKED[name].convention)(WAVEFORMS)
    with pretended_device() as device:
        mel = mel.to(device)
        CHECKED[name](mel)
        with recording() as record:
            CHECKED[name](mel)
    assert record.waits.total() <= 1, record.waits


def test_a_checked_push_waits_once():
    stream = tmi.StreamingInverter(TINY_LOG)
    with pretended_device() as device:
        mel = MEL.to(device)
        stream.push(mel[..., :1])
        with recording() as record:
            stream.push(mel[..., 1:2])
    assert record.waits.total() <= 1, record.waits


CONSTRUCTORS: dict[str, Callable[[tmi.MelConvention], Any]] = {
    **{
        kind.__name__: kind
        for kind in (
            tmi.MelInverter,
            tmi.MelSpectrogram,
            tmi.MelFilterbank,
            tmi.STFT,
            tmi.StreamingInverter,
            losses.MelLoss,
            restoration.MelRestoration,
        )
    },
    "nnls and lws": lambda convention: tmi.MelInverter(convention, "nnls", "lws"),
}


@pytest.mark.parametrize("name", CONSTRUCTORS)
def test_construction_leaves_the_device_alone(name):
    """Also where it is the default device, and for a convention of which nothing is cached."""
    convention = TINY_LOG.replace(f_max=3000.0 + list(CONSTRUCTORS).index(name))
    with pretended_device() as device, device, recording() as record:
        CONSTRUCTORS[name](convention)
    assert (record.operations, record.waits) == ({}, {})


# Of one item of 10 s: the most launches, and the most waits.
CALLS = {
    "MelInverter": (1900, 1),
    "MelInverter, check=False": (1900, 0),
    "entropic": (250, 0),
    "least_distance": (250, 0),
    "init pghi": (300, 0),
    "init spsi": (60, 0),
    "a frame of a stream, check=False": (750, 0),
}
# The most launches of one iteration.
ITERATIONS = {
    "griffin_lim": 13,
    "fast_griffin_lim": 14,
    "accelerated_griffin_lim": 15,
    "admm": 18,
    "raar": 17,
    "mel_consistent": 36,
    "coarse_to_fine": 36,
}


@functools.cache
def measured() -> dict[str, Any]:
    return launches.measure({*CALLS, *ITERATIONS})


@pytest.mark.parametrize("name", CALLS)
def test_a_call_of_ten_seconds(name):
    counts = measured()["calls"][name]
    most, most_waits = CALLS[name]
    assert counts["launches"] <= most
    assert counts["waits"] <= most_waits


@pytest.mark.parametrize("name", ITERATIONS)
def test_one_iteration(name):
    assert measured()["iterations"][name] <= ITERATIONS[name]
