"""Batches of long mels: lengths, channels and requested lengths as from all frames at once."""

from __future__ import annotations

import pytest
import torch

import torchmelinv as tmi
from tests.problems import TINY, tones
from torchmelinv.errors import InputError
from torchmelinv.phase import blockwise, pieces


def mel_of(n_samples=9000, items=()):
    return tmi.MelSpectrogram(TINY)(tones(n_samples, items, torch.float64))


def test_batches_lengths_and_requested_lengths(in_pieces):
    inverter = tmi.MelInverter(TINY, phase="mel_consistent", n_iter=3, init="random", check=False)
    mel = mel_of(items=(2, 2))
    lengths = torch.tensor([[mel.shape[-1], 150], [90, 3]])
    for options in ({}, {"lengths": lengths}, {"length": 9010}, {"length": 7000}):
        in_whole = inverter(mel, **options)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pieces, "LARGEST_WHOLE", 1)
            patch.setattr(blockwise, "_BLOCK_SAMPLES", 128 * 17)
            result = inverter(mel, **options)
        torch.testing.assert_close(result, in_whole, atol=1e-9, rtol=0)


def test_channels_share_their_phase(in_pieces):
    mel = mel_of()
    stereo = torch.stack([mel, mel])
    in_pieces()
    inverter = tmi.MelInverter(TINY, n_iter=4, channels=True)
    left, right = inverter(stereo)
    torch.testing.assert_close(left, right)
    louder = inverter(torch.stack([4 * mel, mel]))
    torch.testing.assert_close(louder[0], 4 * louder[1])


def test_each_item_has_its_own_length(in_pieces):
    mel = mel_of(9011, (2, 2))
    cases = [
        (False, [[282, 100], [31, 30]], [[9011, 3100], [970, 930]]),
        (True, [[282, 282], [31, 31]], [[9011, 9011], [970, 970]]),
    ]
    inverters = [
        tmi.MelInverter(TINY, phase="mel_consistent", n_iter=4, init="random", channels=c)
        for c, _, _ in cases
    ]
    options = [{"lengths": torch.tensor(n), "length": length} for _, n, length in cases]
    whole = [each(mel, **option) for each, option in zip(inverters, options, strict=True)]
    in_pieces()
    for inverter, option, expected in zip(inverters, options, whole, strict=True):
        torch.testing.assert_close(inverter(mel, **option), expected, atol=1e-9, rtol=0)
    with pytest.raises(InputError, match="length is 971 for item 0, whose 30 frames"):
        inverters[0](mel[1, 1:], lengths=[30], length=[971])
