"""De-emphasis is the inverse of pre-emphasis."""

from __future__ import annotations

import pytest
import torch

from tests.pretended_device import pretended_device, recording
from tests.problems import tones
from torchmelinv.transforms.emphasis import de_emphasize, de_emphasize_next


@pytest.mark.parametrize("n_samples", [1, 2, 1000, 5000])
def test_de_emphasis_undoes_pre_emphasis(n_samples):
    waveform = tones(n_samples, (2,), torch.float64)
    emphasized = waveform - 0.97 * torch.nn.functional.pad(waveform, (1, 0))[..., :-1]
    torch.testing.assert_close(de_emphasize(emphasized, 0.97), waveform)


def test_without_pre_emphasis_nothing_changes():
    waveform = tones(100)
    assert de_emphasize(waveform, 0.0) is waveform


@pytest.mark.parametrize("coefficient", [0.0, 0.97])
def test_de_emphasis_continues_from_one_piece_to_the_next(coefficient):
    signal = tones(120, (2,), torch.float64)
    expected = de_emphasize(signal[:, 30:], coefficient)  # the first 30 samples are padding
    piece, result = torch.zeros(2, 20, dtype=torch.float64), []
    for start in range(-30, 90, 20):
        given = signal[:, start + 30 : start + 50]
        piece = de_emphasize_next(given, piece, coefficient, start)
        result.append(piece)
    torch.testing.assert_close(torch.cat(result, -1)[:, 30:], expected)


def test_the_host_does_not_wait_between_pieces():
    with pretended_device() as device:
        signal, previous = torch.ones(1, 8, device=device), torch.zeros(1, 8, device=device)
        with recording() as record:
            de_emphasize_next(signal, previous, 0.97, 0)
    assert record.waits == {}
