"""One trial: errors, bounds and times."""

from __future__ import annotations

import pytest
import torch

from torchmelinv.doctor import check as module
from torchmelinv.doctor.check import Bound, Check, Row, Trial, run_trial
from torchmelinv.doctor.errors import peak_error

CPU = torch.device("cpu")
CHECK = Check("name", "operation", lambda _: iter(()), launches=False)


def trial(kernel, of_plain=0.0, **options):
    """Return a trial whose exact result is 1, and whose plain result has an error."""
    exact = torch.ones(3, dtype=torch.float64)
    bounds = {
        "peak": Bound(lambda result, exact: peak_error(result[0], exact[0]), 0.01),
        "none": Bound(lambda *_: 0.0, 1.0),
    }
    plain = lambda: ((1 + of_plain) * torch.ones(3),)  # noqa: E731
    return Trial("shape", kernel, plain, lambda: (exact,), bounds, **options)


@pytest.fixture
def timed(monkeypatch):
    """Times without measuring; returns the list, plain first, that a test may change."""
    seconds = [2.0, 1.0]
    monkeypatch.setattr(module, "_seconds", lambda *_: tuple(seconds))
    monkeypatch.setattr(module, "call_seconds", lambda *_: 8.0)
    return seconds


@pytest.mark.parametrize(
    ("error", "of_plain", "allowed"),
    [(0.005, 0.0, 0.01), (0.02, 0.0, 0.01), (0.02, 0.01, 0.04), (0.05, 0.01, 0.04)],
)
@pytest.mark.usefixtures("timed")
def test_an_error_is_allowed_within_a_bound_or_four_times_that_of_plain_torch(
    error, of_plain, allowed
):
    row = run_trial(CHECK, trial(lambda: ((1 + error) * torch.ones(3),), of_plain), CPU)
    assert row.error_name == "peak"
    assert row.error == pytest.approx(error, rel=1e-3)
    assert row.allowed == pytest.approx(allowed, rel=1e-3)
    assert row.verdict == ("right and faster" if error < allowed else "wrong")


@pytest.mark.usefixtures("timed")
def test_an_error_of_plain_torch_that_is_not_finite_allows_nothing():
    row = run_trial(CHECK, trial(lambda: (1.02 * torch.ones(3),), torch.nan), CPU)
    assert (row.verdict, row.allowed) == ("wrong", 0.01)


@pytest.mark.parametrize(
    ("kernel", "verdict"), [(1.8, "right and faster"), (1.95, "right, but not faster")]
)
def test_a_kernel_must_be_faster_by_a_margin(timed, kernel, verdict):
    timed[1] = kernel
    row = run_trial(CHECK, trial(lambda: (torch.ones(3),)), CPU)
    assert (row.verdict, row.speedup) == (verdict, 2 / kernel)
    assert row.torchaudio_seconds is None


def fail():
    raise ImportError("torchaudio")


@pytest.mark.parametrize(("peer", "seconds"), [(lambda: lambda: None, 2.0), (fail, None)])
@pytest.mark.usefixtures("timed")
def test_torchaudio_is_timed_if_it_loads(peer, seconds):
    of = trial(lambda: (torch.ones(3),), torchaudio=peer, torchaudio_calls=4)
    assert run_trial(CHECK, of, CPU).torchaudio_seconds == seconds


def test_values_that_a_kernel_leaves_unwritten_are_nan():
    row = run_trial(CHECK, trial(lambda: (torch.empty(3),)), CPU)
    assert (row.verdict, row.reason) == ("wrong", "values that are not finite")


def test_a_kernel_must_be_launched():
    row = run_trial(CHECK._replace(launches=True), trial(lambda: (torch.ones(3),)), CPU)
    assert (row.verdict, row.reason) == ("failed", "no kernel was launched")


def test_both_are_captured_or_neither(monkeypatch):
    seen = []
    monkeypatch.setattr(module, "captured", lambda call, _: seen.append(call) or call)
    monkeypatch.setattr(module, "call_seconds", lambda *_: 1.0)
    of = trial(lambda: (torch.ones(3),), captured=True)
    run_trial(CHECK, of, CPU)
    assert seen == [of.plain, of.kernel]


def test_without_times_there_is_no_speedup():
    assert Row("a", "b", "c", "failed").speedup is None
