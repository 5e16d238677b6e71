"""Any start with any method: the same each time, as good in single precision as in double, and a seed that is one."""

from __future__ import annotations

import pytest
import torch

from tests.problems import TINY_LOG, tones
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.functional import mel_error_db
from torchmelinv.invert import PHASES, MelInverter
from torchmelinv.phase.start import STARTS

MEL = MelAnalyzer(TINY_LOG)(tones(800, (2,), torch.float64))
EACH = pytest.mark.parametrize("start", STARTS)


def error(waveform: torch.Tensor) -> torch.Tensor:
    return mel_error_db(MelAnalyzer(TINY_LOG).linear(waveform.double()), MEL.exp())


@EACH
@pytest.mark.parametrize("phase", PHASES)
def test_the_same_each_time_and_no_generator_is_touched(phase, start):
    mel, before = MEL.float(), torch.random.get_rng_state()
    first, second = (MelInverter(TINY_LOG, phase=phase, n_iter=2, start=start, seed=5)(mel) for _ in range(2))
    torch.manual_seed(99)
    assert torch.equal(first, second)
    assert torch.equal(first, MelInverter(TINY_LOG, phase=phase, n_iter=2, start=start, seed=5)(mel))
    torch.random.set_rng_state(before)


@EACH
@pytest.mark.parametrize("phase", PHASES)
def test_single_precision_is_as_good_as_double(phase, start):
    """Waveforms may part, since iterations turn on rounding in quiet bins; what they are worth may not, by more than 1 dB."""
    inverter = MelInverter(TINY_LOG, phase=phase, n_iter=8, start=start)
    single, double = inverter(MEL.float()), inverter(MEL)
    assert (single.dtype, double.dtype) == (torch.float32, torch.float64)
    assert (error(single) - error(double)).abs().max() < 1
    assert (error(double) < -7).all()


@EACH
def test_a_seed_matters_where_there_is_chance(start):
    one, other = (MelInverter(TINY_LOG, phase="griffin_lim", n_iter=2, start=start, seed=seed)(MEL) for seed in (1, 2))
    if start == "random":
        assert (one - other).norm() > 0.5 * one.norm()
    elif start != "pghi":  # whose faintest bins have random phases
        assert torch.equal(one, other)


@pytest.mark.parametrize("phase", [name for name in PHASES if name not in ("lws", "rtisi_la")])  # which set their own phases
def test_a_phase_that_is_read_off_the_magnitude_starts_nearer(phase):
    starts = ("random", "spsi", "pghi")
    random, *read = (error(MelInverter(TINY_LOG, phase=phase, n_iter=2, start=start)(MEL)) for start in starts)
    assert all((each < random).all() for each in read)
