"""The latency of a stream: of the look-ahead, of the padding, and of a last frame."""

from __future__ import annotations

import pytest

from tests.problems import TINY
from torchmelinv.phase.mel_consistent import MelConsistent
from torchmelinv.phase.rtisi import RTISILA
from torchmelinv.stream_latency import stream_latency
from torchmelinv.streaming import StreamingInverter


def test_less_look_ahead_is_less_latency():
    latencies = [
        StreamingInverter("hifigan_22k", MelConsistent(RTISILA(look_ahead))).latency
        for look_ahead in (None, 1, 0)
    ]
    assert [latency.samples for latency in latencies] == [3 * 256 + 384, 256 + 384, 384]
    assert latencies[0].seconds == pytest.approx(0.0522, abs=1e-4)


@pytest.mark.parametrize(("padding", "n_samples"), [("center_reflect", 64), ("none", 0)])
def test_without_look_ahead_the_latency_is_the_padding(padding, n_samples):
    convention = TINY.replace(padding=padding)
    assert stream_latency(convention, 0) == (0, n_samples, n_samples / 8000)
