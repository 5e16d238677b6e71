"""References inverted from their own mels: files, settings, errors."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch

from tests.tiny import TINY, tiny_mel, tone
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.corpus.inverted_references import invert_references
from torchmelinv.corpus.pairs import Pair
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


def inverted(path: Path, reference: Path, inverter: MelInverter = INVERTER) -> tuple[bytes, int]:
    """Return what the file of an inverted reference holds, and when it was written."""
    (pair,) = invert_references([Pair("x", None, reference)], path, inverter)
    return pair.generated.read_bytes(), pair.generated.stat().st_mtime_ns


def test_another_reference_or_inverter_is_inverted_again(tmp_path):
    old, new = tmp_path / "old.wav", tmp_path / "new.wav"
    write_audio(old, tone(0.3), TINY.sample_rate)
    os.utime(old, ns=(1, 1))  # older than what was made of the other reference
    write_audio(new, tone(), TINY.sample_rate)
    first = inverted(tmp_path / "out", new)
    assert inverted(tmp_path / "out", new) == first
    assert inverted(tmp_path / "out", old)[0] != first[0]
    assert inverted(tmp_path / "out", new)[0] == first[0]
    assert inverted(tmp_path / "out", new, MelInverter(TINY, n_iter=4))[0] != first[0]
