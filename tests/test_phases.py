"""The flat list of method records: complete, and each of them is what `MelInverter` takes."""

from __future__ import annotations

import pytest

from tests.problems import TINY, tones
from torchmelinv import phases
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.invert import PHASES, MelInverter

RECORDS = {name: record for name, record in vars(phases).items() if isinstance(record, type)}


def kinds(method: object) -> set[type]:
    """The type of a method and of those that it is put together from."""
    parts = [getattr(method, name, None) for name in ("method", "first", "second")]
    return {type(method)}.union(*(kinds(part) for part in parts if part is not None))


def test_every_named_phase_is_made_of_listed_records():
    assert set().union(*(kinds(factory()) for factory in PHASES.values())) <= set(RECORDS.values())


@pytest.mark.parametrize("name", sorted(set(RECORDS) - {"PhaseMethod", "Then"}))
def test_records_with_their_usual_numbers_invert(name):
    mel = MelAnalyzer(TINY).linear(tones(640))
    waveform = MelInverter(TINY, phase=RECORDS[name](), n_iter=3)(mel)
    assert waveform.shape == (TINY.n_samples(mel.shape[-1]),)
    assert waveform.isfinite().all()
