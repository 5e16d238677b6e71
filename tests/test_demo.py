"""The synthetic voice, and the demo on it or on a recording."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from torchmelinv import demo
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.errors import InputError
from torchmelinv.io.audio import read_audio, write_audio


def test_the_voice_is_always_the_same():
    state = torch.get_rng_state()
    voice = demo.signal()
    assert torch.equal(voice, demo.signal())
    assert torch.equal(torch.get_rng_state(), state)
    assert voice.shape == (66150,)
    assert voice.dtype == torch.float32
    assert float(voice.abs().max()) == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("seconds", "sample_rate"),
    [(0.1, 8000), (3.0, 4000), (4.5, 16000), (1.0, 44100), (1e-6, 22050)],
)
def test_any_length_and_rate(seconds, sample_rate):
    voice = demo.signal(seconds, sample_rate)
    assert voice.shape == (max(1, round(seconds * sample_rate)),)
    assert voice.isfinite().all()


def test_the_phrase_repeats():
    voice = demo.signal(6, 8000)
    assert torch.equal(voice[:24000], voice[24000:])


def test_it_has_voice_hiss_and_pauses():
    mel = MelSpectrogram("hifigan_22k").linear_mel(demo.signal())
    voice, hiss, pause = (int(second * 22050 / 256) for second in (0.5, 1.53, 1.4))
    low, high = mel[:30].sum(0), mel[60:].sum(0)
    assert low[voice] > 30 * high[voice]
    assert high[hiss] > 10 * low[hiss]
    assert mel[:, pause].sum() < 1e-2 * mel[:, voice].sum()


def test_the_pitch_glides():
    voice, pitches = demo.signal(), []
    for second in (0.25, 0.7):
        part = voice[int(second * 22050) :][:2048]
        spectrum = torch.fft.rfft(part, 8192).abs().square()
        lags = torch.fft.irfft(spectrum)[22050 // 220 : 22050 // 80]
        pitches.append(22050 / (int(lags.argmax()) + 22050 // 220))
    assert 115 < pitches[0] < 135
    assert 145 < pitches[1] < 165


@pytest.mark.parametrize(
    ("seconds", "sample_rate"), [(0, 22050), (-1, 22050), (601, 22050), (1, 100), (1, 1e6)]
)
def test_impossible_voices(seconds, sample_rate):
    with pytest.raises(InputError, match="cannot synthesize"):
        demo.signal(seconds, sample_rate)


def test_the_demo_runs_on_the_synthetic_voice(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert demo.main([]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    folder = Path("demo_output")
    written = [str(folder / name) for name in ("inverted.wav", "reference.wav", "mels.png")]
    measures = ["mel error", "spectral convergence", "times faster than real time"]
    for words in ("synthetic voice", *measures, *written):
        assert words in out
    voice, rate = read_audio("demo_output/reference.wav")
    inverted, _ = read_audio("demo_output/inverted.wav")
    assert rate == 22050
    assert voice.shape == inverted.shape == (1, 66150)
    # The printed distance is that of the files.
    linear_mel = MelSpectrogram("hifigan_22k").linear_mel
    reference = linear_mel(voice)
    error = 20 * torch.log10((linear_mel(inverted) - reference).norm() / reference.norm())
    assert float(error) == pytest.approx(float(out.split("mel error")[1].split()[0]), abs=0.2)
    assert float(error) < -20


def test_the_demo_runs_on_a_recording(tmp_path, capsys):
    write_audio(tmp_path / "x.flac", torch.stack([demo.signal(0.3, 16000)] * 2), 16000)
    assert demo.main([str(tmp_path / "x.flac"), "--out", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert "x.flac: to a mel of 80 bands" in out
    assert "resampled from 16000 to 22050 Hz" in err
    assert all(
        len(read_audio(tmp_path / "out" / name)[0]) == 2
        for name in ("inverted.wav", "reference.wav")
    )
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"inverted.wav", "reference.wav", "mels.png"}


def test_a_missing_recording(tmp_path, capsys):
    assert demo.main([str(tmp_path / "none.wav"), "--out", str(tmp_path / "out")]) == 2
    assert "none.wav does not exist" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
