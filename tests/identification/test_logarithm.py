"""The logarithm of a mel from its floor, from agreeing candidates, or from its values alone."""

from __future__ import annotations

import math

import pytest
import torch

from torchmelinv.conventions.presets import preset
from torchmelinv.identification.candidate import Candidate
from torchmelinv.identification.logarithm import find_logarithm
from torchmelinv.identification.scoring import ValueStatistics


def statistics(values: torch.Tensor) -> ValueStatistics:
    return ValueStatistics(values.double()[None], 1e-7)


def recording(scale: float, floor: float | None = None) -> ValueStatistics:
    """Values whose median lies `scale` times 8 nepers below the loudest ones."""
    generator = torch.Generator().manual_seed(0)
    values = scale * (torch.rand(80, 200, generator=generator) * 16 - 16)
    if floor is not None:
        values[:, :20] = floor
    return statistics(values)


@pytest.mark.parametrize(
    ("scale", "floor", "log", "linear"),
    [
        (1.0, math.log(1e-8), "ln", 1e-8),
        (1 / math.log(10), -8.0, "log10", 1e-8),
        (10 / math.log(10), -100.0, "dB", 1e-10),
    ],
)
def test_a_floor_that_is_a_power_of_ten_shows_the_logarithm(scale, floor, log, linear):
    guess = find_logarithm(recording(scale, floor), [])
    assert (guess.log, guess.floor) == (log, linear)
    assert "lowest value" in guess.reason


@pytest.mark.parametrize(("scale", "log"), [(1.0, "ln"), (0.3, "log10"), (5.0, "dB")])
def test_without_a_floor_the_depth_decides(scale, log):
    guess = find_logarithm(recording(scale), [])
    assert (guess.log, guess.floor) == (log, None)
    assert "below the loudest" in guess.reason


def test_values_that_are_no_logarithm():
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(80, 200, generator=generator)
    cases = {
        "linear": uniform**12,
        "normalized": uniform,
        "unknown": 1000 * (uniform - 1),
    }
    for log, values in cases.items():
        assert find_logarithm(statistics(values), []).log == log


def test_candidates_that_agree_decide():
    convention = preset("melgan")
    best = [Candidate("melgan", False, "possible", "the mel has x", -1.0, convention)]
    guess = find_logarithm(recording(1.0), best)
    assert guess.log == "log10"
    assert guess.reason == "read as melgan, the mel has x"
