"""Gradients through the inversion lead from a constant mel to that of a recording."""

from __future__ import annotations

from tests.training.recover_a_mel import CONVENTION, recover
from torchmelinv.demo import signal


def test_a_mel_is_recovered_from_its_waveform():
    result = recover(signal(sample_rate=CONVENTION.sample_rate))
    assert result.errors[0] > 1  # nepers: a constant is far away
    assert result.errors[-1] < result.errors[0] / 10  # 18 times
    assert result.loss < 1.1 * result.loss_of_truth
