"""Dynamic time warping against librosa, and scores along its path."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import torch

from tests.tiny import TINY, tiny_mel, tone
from torchmelinv import metrics
from torchmelinv.errors import InputError
from torchmelinv.metrics import aligned_mel_scores, aligned_scores, dtw_path
from torchmelinv.transforms.compression import decompress

MEL = decompress(tiny_mel(), TINY.level)


@pytest.mark.parametrize("lengths", [(1, 1), (1, 5), (5, 1), (40, 31), (31, 40)])
def test_the_path_is_librosas(lengths):
    generator = np.random.default_rng(0)
    first, second = (generator.standard_normal((n, 3)) for n in lengths)
    path = torch.stack(dtw_path(*(torch.from_numpy(each.T) for each in (first, second))), 1)
    _, expected = librosa.sequence.dtw(first.T, second.T)
    np.testing.assert_array_equal(path.numpy(), expected[::-1])


def test_too_many_frames_are_refused():
    with pytest.raises(InputError, match="cannot be aligned"):
        dtw_path(torch.zeros(1, 2**15), torch.zeros(1, 2**14))


def test_sequences_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="2 and 3 features per frame"):
        dtw_path(torch.zeros(2, 4), torch.zeros(3, 4))
    with pytest.raises(InputError, match="one item at a time"):
        aligned_mel_scores(MEL[None], MEL, TINY)


def test_equal_mels_have_the_distortion_of_frames():
    generator = torch.Generator().manual_seed(0)
    noisy = MEL * (0.05 * torch.randn(MEL.shape, generator=generator)).exp()
    scores = aligned_mel_scores(noisy, MEL, TINY)
    expected = float(metrics.mel_cepstral_distortion_db(noisy, MEL))
    assert scores["aligned_mel_cepstral_distortion_db"] <= expected * (1 + 1e-5)
    assert scores["aligned_mel_cepstral_distortion_db"] == pytest.approx(expected, rel=0.2)
    assert aligned_mel_scores(MEL, MEL, TINY) == {
        "aligned_mel_cepstral_distortion_db": 0,
        "misalignment_ms": 0,
    }


def test_a_delay_is_aligned_and_measured():
    delayed = torch.cat([MEL[:, :1].expand(-1, 10), MEL], -1)
    scores = aligned_mel_scores(delayed, MEL, TINY)
    assert scores["aligned_mel_cepstral_distortion_db"] == pytest.approx(0, abs=1e-4)
    assert scores["misalignment_ms"] == pytest.approx(10 * 1000 * 16 / 8000)


def test_waveforms_are_compared_along_the_path():
    scores = aligned_scores(tone(), tone(), TINY)
    for name in ("aligned_f0_rmse_cents", "aligned_gross_pitch_error"):  # maybe nothing is voiced
        assert scores.pop(name) in (0, pytest.approx(float("nan"), nan_ok=True))
    assert set(scores.values()) == {0}
    reference = torch.cat([torch.zeros(800), tone(0.4)])
    scores = aligned_scores(tone(0.4), reference, TINY)
    assert scores["aligned_voicing_error"] < 0.3
