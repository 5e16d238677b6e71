"""The tables of RTISI-LA: phases of bins without signal, and the limits of the window sum."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.problems import stft_convention
from torchmelinv.conventions import STFTConvention
from torchmelinv.phase.rtisi_tables import RTISITables, rtisi_tables
from torchmelinv.transforms.window import window_sumsquare, window_table

F64 = torch.float64
SMALL = stft_convention(n_fft=32, hop_length=8)
LEFT = SMALL.replace(win_length=25, window="povey", window_align="left", padding="none")


def tables_of(convention: STFTConvention) -> RTISITables:
    return rtisi_tables(convention, F64, torch.device("cpu"))


def impulse_phasors(sample: int) -> Tensor:
    return torch.fft.rfft(torch.nn.functional.one_hot(torch.tensor(sample), 32).to(F64))


@pytest.mark.parametrize(("convention", "center"), [(SMALL, 16), (LEFT, 12)])
def test_bins_without_signal_are_those_of_an_impulse_at_the_center(convention, center):
    torch.testing.assert_close(tables_of(convention).unreached, impulse_phasors(center))


@pytest.mark.parametrize("hop_length", [1, 8, 31])
def test_the_limits_of_the_window_sum(hop_length):
    tables = tables_of(SMALL.replace(hop_length=hop_length))
    sumsquare = window_sumsquare(window_table(tables.convention), hop_length)
    assert tables.peak == sumsquare.max()
    torch.testing.assert_close(tables.floor, 0.01 * tables.peak)
    assert tables.floor <= tables.finished_floor <= 0.1 * tables.peak
    assert tables.finished_floor <= max(tables.floor, sumsquare.min())


def test_tables_are_computed_once():
    assert tables_of(SMALL) is tables_of(stft_convention(n_fft=32, hop_length=8))
