"""Mel scales: equal to librosa's, invertible, and through the points that define them."""

from __future__ import annotations

import librosa
import numpy as np
import pytest

from torchmelinv.conventions.mel_convention import MEL_SCALES
from torchmelinv.transforms.mel_scale import hz_to_mel, mel_to_hz

HERTZ = np.concatenate(
    [[0, 1e-3, 66.7, 699.9, 999.999, 1000, 1000.001], np.geomspace(20, 48000, 200)]
)


@pytest.mark.parametrize(("scale", "htk"), [("slaney", False), ("htk", True)])
def test_scale_equals_librosas(scale: str, htk: bool) -> None:
    mels = librosa.hz_to_mel(HERTZ, htk=htk)
    np.testing.assert_allclose(hz_to_mel(HERTZ, scale), mels, rtol=1e-13)
    np.testing.assert_allclose(
        mel_to_hz(mels, scale), librosa.mel_to_hz(mels, htk=htk), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("scale", MEL_SCALES)
def test_round_trip_gives_the_same_frequency(scale: str) -> None:
    np.testing.assert_allclose(
        mel_to_hz(hz_to_mel(HERTZ, scale), scale), HERTZ, rtol=1e-12, atol=1e-10
    )


@pytest.mark.parametrize("scale", MEL_SCALES)
def test_scale_rises_from_zero(scale: str) -> None:
    mels = hz_to_mel(np.sort(HERTZ), scale)
    assert mels[0] == 0
    assert (np.diff(mels) > 0).all()


def test_known_points() -> None:
    assert hz_to_mel(700, "htk") == pytest.approx(2595 * np.log10(2), rel=1e-15)
    assert hz_to_mel(700, "kaldi") == pytest.approx(1127 * np.log(2), rel=1e-15)
    assert hz_to_mel(1000, "slaney") == pytest.approx(15, rel=1e-15)
    assert hz_to_mel(6400, "slaney") == pytest.approx(15 + 27, rel=1e-15)


@pytest.mark.parametrize("scale", MEL_SCALES)
def test_any_shape_and_integers_give_float64(scale: str) -> None:
    assert hz_to_mel(440, scale).shape == ()
    mels = hz_to_mel(np.array([[100, 200], [300, 4000]]), scale)
    assert mels.dtype == np.float64
    assert mels.shape == (2, 2)
    assert mel_to_hz(mels.astype(np.float32), scale).dtype == np.float64
