"""Gradients through the inversion are of use: they lead from a constant to the mel of a recording that only the loss heard."""

from __future__ import annotations

from tests.training.recover_a_mel import CONVENTION, recover
from torchmelinv.demo import signal


def test_a_mel_is_recovered_from_the_sound_of_its_waveform():
    found = recover(signal(sample_rate=CONVENTION.sample_rate))
    assert found.errors[0] > 1  # nepers: a constant is far away
    assert found.errors[-1] < found.errors[0] / 10  # 18 times
    assert found.loss < 1.1 * found.loss_of_truth  # the waveform sounds like that of the true mel
