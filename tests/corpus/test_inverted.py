"""The result for one mel: what it has without a waveform, and how results compare."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from torchmelinv import corpus, invert_many
from torchmelinv.corpus.inverted import Inverted
from torchmelinv.invert import MelInverter


def test_an_error_comes_without_waveform_and_mel_error():
    (result,) = invert_many([("empty", torch.zeros(80, 0))], MelInverter("hifigan_22k"))
    assert isinstance(result, Inverted)
    assert result.error
    assert result.waveform is None
    assert math.isnan(result.mel_error_db)
    assert (result.name, result.index, result.count, result.warnings) == ("empty", 0, 1, ())


def test_results_cannot_be_changed_and_compare_by_identity():
    """Tensors of several values are neither equal nor unequal."""
    first, second = (Inverted("a", torch.zeros(2)) for _ in range(2))
    assert first != second
    assert len({first, second, first}) == 2
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.name = "b"
    assert corpus.Inverted is Inverted
