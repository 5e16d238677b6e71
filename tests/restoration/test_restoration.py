"""Restorations of users, and several in a row."""

from __future__ import annotations

import dataclasses

import pytest
import torch

import torchmelinv as tmi
from tests.restoration.smoothed import (
    CONVENTION,
    NAME,
    real,
    smooth,
)
from torchmelinv.errors import InputError
from torchmelinv.restoration import (
    Contrast,
    Restoration,
    Sequential,
    UnsharpMask,
    contrast,
    unsharp_mask,
)


@dataclasses.dataclass(frozen=True)
class Shorter(Restoration):
    def restore(self, log_mel, lengths, convention):
        return log_mel[..., 1:]


def test_a_sequence_runs_its_steps_in_order():
    mel, steps = smooth(), (UnsharpMask(0.5), Contrast(1.1))
    by_hand = contrast(unsharp_mask(mel, 0.5), 1.1)
    result = Sequential(*steps).restore(mel[None], None, CONVENTION)[0]
    torch.testing.assert_close(result, by_hand)


def test_refusals():
    with pytest.raises(InputError, match="the steps are"):
        Sequential()
    with pytest.raises(InputError, match=r"must be objects of torchmelinv.restoration"):
        Sequential(UnsharpMask(), "contrast")
    with pytest.raises(InputError, match="must keep it"):
        tmi.MelInverter(NAME, restore=Shorter())(real())
