"""Mels on their way in: one by one, with their doubts, or a reason why not."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch

from tests.tiny import TINY, tiny_mel, workplace  # noqa: F401
from torchmelinv.conventions import MfccConvention
from torchmelinv.jobs.load import load
from torchmelinv.mfcc import mel_to_mfcc, mfcc_to_log_mel

pytestmark = pytest.mark.usefixtures("workplace")


@pytest.mark.parametrize("source", ["mel.npy", ("a name", "mel.npy"), ((1, 2), tiny_mel()), ("half", tiny_mel().double())])
def test_a_source_is_a_file_or_a_tensor(source):
    (item,) = load(source, TINY)
    assert item.name == (source[0] if isinstance(source, tuple) else source)
    assert item.error is None
    assert item.mel.dtype == torch.float32
    assert torch.equal(item.mel, tiny_mel())
    assert item.frames == 101


def test_several_mels_come_one_by_one():
    mels = torch.stack([tiny_mel(seed=seed) for seed in range(6)])
    items = load(("x", mels.reshape(2, 3, 8, -1)), TINY)
    assert [(item.index, item.count) for item in items] == [(index, 6) for index in range(6)]
    assert all(torch.equal(item.mel, mel) for item, mel in zip(items, mels, strict=True))


def test_mfccs_become_the_smooth_mels_that_they_have():
    convention = MfccConvention(mel=TINY, n_mfcc=5)
    mfcc = mel_to_mfcc(torch.stack([tiny_mel(), tiny_mel(seed=1)]), convention)
    items = load(("x", mfcc), TINY, convention)
    assert torch.equal(torch.stack([item.mel for item in items]), mfcc_to_log_mel(mfcc, convention))
    (item,) = load("mel.npy", TINY, convention)
    assert item.error == "the mfcc has shape (8, 101); it must be (…, 5, n_frames ≥ 1)"


@pytest.mark.parametrize(("source", "says"), [
    ("none.npy", "does not exist"), ("speech.wav", "ends in '.wav'"), (("x", torch.full((8, 3), math.nan)), "NaN or infinite"),
    (("x", torch.zeros(3, 8)), "transposed"), (("x", np.zeros((8, 3))), "it must be a torch.Tensor"), (("x", None), "NoneType"),
])
def test_what_is_wrong_is_said(source, says):
    (item,) = load(source, TINY)
    assert says in item.error
    assert not item.error.startswith("none.npy")


def test_doubts_are_heard_and_not_shouted():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (item,) = load(("x", tiny_mel().exp() + 1), TINY)
    assert "linear mel" in item.warnings[0]
