"""The inverse of the filterbank has the mel, whatever the rank."""

from __future__ import annotations

import torch
import torchaudio.transforms as reference

from tests.compat.torchaudio.deviation import SMALL
from tests.problems import tones
from torchmelinv.compat import torchaudio as compat


def test_inverse_has_the_mel_where_torchaudios_has_not():
    settings = {"n_mels": 40, "sample_rate": 8000}
    spectrum = reference.Spectrogram(**SMALL)(tones(3000, (2,)))
    scale = compat.MelScale(n_stft=65, **settings)
    mel = scale(spectrum)
    results = [
        library.InverseMelScale(65, **settings, driver="gelsd")(mel)
        for library in (compat, reference)
    ]
    errors = [(scale(result) - mel).norm() / mel.norm() for result in results]
    assert errors[0] < 1e-4 < errors[1]
    assert (results[0] >= 0).all()


def test_inverse_never_fails():
    mel = torch.randn(3, 2, 32, 7)
    # far more bands than bins; one bin for all bands
    for settings in ((5, 32), (201, 32, 8000, 100.0, 200.0)):
        spectrogram = compat.InverseMelScale(*settings)(mel)
        assert spectrogram.shape == (3, 2, settings[0], 7)
        assert spectrogram.isfinite().all()
        assert (spectrogram >= 0).all()
    assert (compat.InverseMelScale(201, 32)(torch.zeros(32, 3)) == 0).all()
