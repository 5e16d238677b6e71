"""Every registered phase method works in `MelInverter`, in `MelConsistent` and in `Then`."""

from __future__ import annotations

import pytest

from tests.problems import TINY, tones
from tests.solve import MAGNITUDE_PHASES
from torchmelinv import phases
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.invert import MelInverter
from torchmelinv.phase import PHASES

MEL = MelSpectrogram(TINY)(tones(640))


@pytest.mark.parametrize("name", PHASES)
def test_a_name_stands_for_the_class_with_its_defaults(name):
    assert isinstance(PHASES[name](), phases.PhaseMethod)
    assert f"phase={PHASES[name]()}" in repr(MelInverter(TINY, phase=name))


@pytest.mark.parametrize("name", PHASES)
def test_methods_compose(name):
    method = PHASES[name]()
    composed = [
        phases.Then(method, phases.MelConsistent(), 2),
        phases.Then(phases.MelConsistent(), method, 0.5),
    ]
    if name in MAGNITUDE_PHASES:
        composed.append(phases.MelConsistent(method))
    for phase in composed:
        waveform = MelInverter(TINY, phase=phase, n_iter=4)(MEL)
        assert waveform.shape == (TINY.n_samples(MEL.shape[-1]),)
        assert waveform.isfinite().all()
