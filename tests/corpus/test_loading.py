"""Mels and waveforms for a job: one by one, with warnings, or with the reason why there is none."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import torch

from tests.tiny import TINY, stereo, tiny_mel, workplace  # noqa: F401
from torchmelinv.conventions import MfccConvention
from torchmelinv.corpus.loading import load_mels, load_waveform
from torchmelinv.io.audio import write_audio
from torchmelinv.transforms.mfcc import mel_to_mfcc, mfcc_to_mel

pytestmark = pytest.mark.usefixtures("workplace")


@pytest.mark.parametrize(
    "source",
    ["mel.npy", ("a name", "mel.npy"), ((1, 2), tiny_mel()), ("half", tiny_mel().double())],
)
def test_a_source_is_a_file_or_a_tensor(source):
    (item,) = load_mels(source, TINY)
    assert item.name == (source[0] if isinstance(source, tuple) else source)
    assert item.error is None
    assert item.mel.dtype == torch.float32
    assert torch.equal(item.mel, tiny_mel())
    assert item.n_frames == 101


def test_several_mels_come_one_by_one():
    mels = torch.stack([tiny_mel(seed=seed) for seed in range(6)])
    items = load_mels(("x", mels.reshape(2, 3, 8, -1)), TINY)
    assert [(item.index, item.count) for item in items] == [(index, 6) for index in range(6)]
    assert all(torch.equal(item.mel, mel) for item, mel in zip(items, mels, strict=True))


@pytest.mark.parametrize(
    ("leading", "items", "expected"),
    [((), 1, ()), ((1,), 1, ()), ((4, 1), 4, ()), ((2,), 1, (2,)), ((3, 2), 3, (2,))],
)
def test_channels_stay_together(leading, items, expected):
    mel = torch.randn(*leading, 8, 5)
    found = load_mels(("x", mel), TINY, channels=True)
    assert len(found) == items
    assert all(item.mel.shape == (*expected, 8, 5) for item in found)
    assert all(item.n_channels == math.prod(expected) for item in found)
    assert torch.equal(torch.stack([item.mel for item in found]).reshape(mel.shape), mel)


def test_a_batch_is_not_taken_for_channels():
    (item,) = load_mels(("x", torch.zeros(9, 8, 5)), TINY, channels=True)
    assert item.error == (
        "the mel has shape (9, 8, 5), which means 9 channels of one recording; it must have at "
        "most 8; a batch of mono mels is (items, 1, n_mels, n_frames)"
    )


def test_mfccs_become_smooth_mels():
    convention = MfccConvention(mel=TINY, n_mfcc=5)
    mfcc = mel_to_mfcc(torch.stack([tiny_mel(), tiny_mel(seed=1)]), convention)
    items = load_mels(("x", mfcc), TINY, convention)
    assert torch.equal(torch.stack([item.mel for item in items]), mfcc_to_mel(mfcc, convention))
    (item,) = load_mels("mel.npy", TINY, convention)
    assert item.error == "the mfcc has shape (8, 101); it must be (…, 5, n_frames ≥ 1)"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("none.npy", "does not exist"),
        ("speech.wav", "ends in '.wav'"),
        (("x", torch.full((8, 3), math.nan)), "NaN or infinite"),
        (("x", torch.zeros(3, 8)), "transposed"),
        (("x", np.zeros((8, 3))), "it must be a torch.Tensor"),
        (("x", None), "NoneType"),
    ],
)
def test_errors_are_returned(source, message):
    (item,) = load_mels(source, TINY)
    assert message in item.error
    assert not item.error.startswith("none.npy")


def test_warnings_are_returned_not_emitted():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (item,) = load_mels(("x", tiny_mel().exp() + 1), TINY)
    assert "linear mel" in item.warnings[0]


def test_waveforms_are_resampled_and_keep_their_channels():
    write_audio("stereo.wav", stereo(), TINY.sample_rate, "FLOAT")
    waveform, notes = load_waveform("stereo.wav", TINY)
    assert torch.equal(waveform, stereo())
    assert notes == []
    waveform, notes = load_waveform("stereo.wav", TINY.replace(sample_rate=16000))
    assert waveform.shape == (2, 3200)
    assert notes == ["resampled from 8000 to 16000 Hz"]
    waveform, notes = load_waveform("speech.wav", TINY)
    assert (waveform.shape, notes) == ((1600,), [])
