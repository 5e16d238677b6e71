"""Inputs of `reconstruct` that do not fit are refused."""

from __future__ import annotations

import pytest
import torch

from tests.problems import stft_convention, tones
from tests.solve import solve
from torchmelinv.errors import InputError
from torchmelinv.phases import GriffinLim
from torchmelinv.transforms.stft import STFT

CONVENTION = stft_convention()
MAGNITUDE = STFT(CONVENTION)(tones(640, (3,), torch.float64)).abs()


@pytest.mark.parametrize(
    ("length", "message"),
    [
        ([640, 640], r"length has shape \(2,\); it must be \(3,\), one number per item"),
        (torch.tensor(640), r"length has shape \(\); it must be \(3,\)"),
        ([640, -3, 640], "length has the values .*; each must be from 1 to"),
        ([640, 0, 640], "length has the values"),
        ([640, 2**33, 640], "length has the values"),
        ([640.0, 640.0, 640.0], "length has dtype torch.float32; it must hold integers"),
        (["640", "640", "640"], "length has type list; it must be integers"),
        ({"length": 640}, "length has type dict"),
        ("640", "length is '640'; it must be an integer"),
        ([640, 96, 112], r"length is 112 for item 2, whose 7 frames hold at most 111 samples"),
    ],
    ids=str,
)
def test_invalid_lengths_of_items(length, message):
    lengths = [MAGNITUDE.shape[-1], 7, 7]
    assert CONVENTION.n_frames(111) == 7
    with pytest.raises(InputError, match=message):
        solve(GriffinLim(), MAGNITUDE, CONVENTION, 1, lengths=lengths, length=length)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_iter": -1}, "n_iter"),
        ({"n_iter": 2.5}, "n_iter"),
        ({"gradient": "implicit"}, "gradient"),
        ({"init": "spectral"}, "init is"),
        ({"init": torch.zeros(3, 3)}, "angles"),
        ({"seed": 1.5}, "seed"),
        ({"length": -5}, "length"),
        ({"tolerance": -1}, "tolerance"),
        ({"lengths": [1, 2]}, "lengths"),
        ({"init_waveform": torch.zeros(640)}, "init_waveform"),
        ({"magnitude": torch.zeros(32, 9)}, r"\(…, 33, n_frames ≥ 1\)"),
        ({"magnitude": torch.zeros(33, 9, dtype=torch.complex64)}, "complex"),
    ],
)
def test_invalid_options(options, message):
    arguments = {"magnitude": MAGNITUDE, **options}
    with pytest.raises(InputError, match=message):
        solve(GriffinLim(), convention=CONVENTION, **arguments)
