"""References inverted from their own mels: files, settings, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny import TINY, tiny_mel, tone
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.corpus.inverted_references import invert_references
from torchmelinv.corpus.pairs import Pair
from torchmelinv.errors import InputError
from torchmelinv.invert import MelInverter
from torchmelinv.io.audio import read_audio, write_audio

INVERTER = MelInverter(TINY, n_iter=2)


def test_waveforms_and_mels_are_inverted(tmp_path):
    write_audio(tmp_path / "r/a.wav", tone(), TINY.sample_rate, "FLOAT")
    np.save(tmp_path / "r/b.npy", tiny_mel().numpy())
    Path(tmp_path, "r/broken.wav").write_text("hello")
    files = {"deep/a": "a.wav", "b": "b.npy", "broken": "broken.wav"}
    pairs = [Pair(name, None, tmp_path / "r" / file) for name, file in files.items()]
    calls = []
    results = invert_references(pairs, tmp_path / "out", INVERTER, progress=lambda: calls.append(1))
    assert len(calls) == 3
    waveform, rate = read_audio(results[0].generated)
    expected = INVERTER(MelSpectrogram(TINY)(tone()), length=1600)
    assert rate == TINY.sample_rate
    torch.testing.assert_close(waveform[0], expected, atol=2**-15, rtol=0)
    assert results[1].generated == tmp_path / "out/b.wav"
    assert "cannot be read as audio" in results[2].error
    with pytest.raises(InputError, match="inverted with other settings"):
        invert_references(pairs, tmp_path / "out", MelInverter(TINY, n_iter=3))


def test_a_newer_reference_is_inverted_again(tmp_path):
    path = tmp_path / "r.wav"
    write_audio(path, tone(), TINY.sample_rate)
    pair = Pair("x", None, path)
    (first,) = invert_references([pair], tmp_path / "out", INVERTER)
    before = first.generated.read_bytes()
    write_audio(path, tone(0.3), TINY.sample_rate)
    invert_references([pair], tmp_path / "out", INVERTER)
    assert first.generated.read_bytes() != before
