"""The state of a stream: damaged ones are refused, and leave the stream as it was."""

from __future__ import annotations

import pytest

from tests.problems import TINY_LOG, tones
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.errors import InputError
from torchmelinv.phase.mel_consistent import MelConsistent
from torchmelinv.phase.rtisi import RTISILA
from torchmelinv.streaming import StreamingInverter


def test_damaged_states_are_refused():
    stream = StreamingInverter(TINY_LOG, MelConsistent(RTISILA(n_iter=2)))
    stream.push(MelSpectrogram(TINY_LOG)(tones(1200)))
    state, n_frames = stream.state_dict(), stream.n_frames
    missing = {name: value for name, value in state.items() if name != "past"}
    for broken in (
        missing,
        {**state, "past": state["past"][:, 1:]},
        {**state, "items": [3]},
        {**state, "target": None},
        {**state, "n_frames": -3},
        {**state, "n_frames": 1.5},
        {**state, "n_frames": 2**70},
        {**state, "past": state["past"] * float("nan")},
        {**state, "past": state["past"].to_sparse()},
        {**state, "past": state["past"].to("meta")},
    ):
        with pytest.raises(InputError, match="this state is incomplete"):
            stream.load_state_dict(broken)
    assert stream.n_frames == n_frames
    stream.load_state_dict(state)
