"""Clips of one item: sounds keep their levels, pictures share a scale, faults become text."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from tests.page.test_pictures import read
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.io.audio import write_audio
from torchmelinv.io.mels import MelLayout
from torchmelinv.page.clips import make_clips
from torchmelinv.page.sounds import FLAC
from torchmelinv.synthetic_voice import signal

RATE = 22050
VOICE = signal(1.0)[: RATE // 2]


@pytest.fixture
def mel_spectrogram() -> MelSpectrogram:
    return MelSpectrogram("hifigan_22k")


def sound(data: bytes | None) -> torch.Tensor:
    """Decode a sound."""
    assert data is not None
    return torch.from_numpy(soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0].T)


def test_levels_and_durations(tmp_path: Path, mel_spectrogram: MelSpectrogram) -> None:
    write_audio(tmp_path / "a.wav", VOICE, RATE)
    write_audio(tmp_path / "b.wav", 0.5 * VOICE[: RATE // 4], RATE)
    paths = [tmp_path / "a.wav", None, tmp_path / "b.wav"]
    (first, missing, second), notes = make_clips(paths, mel_spectrogram, FLAC)
    assert notes == []
    assert missing is None
    assert first is not None
    assert second is not None
    assert (first.seconds, second.seconds) == (len(VOICE) / RATE, (RATE // 4) / RATE)
    rms = VOICE.square().mean().sqrt()
    assert first.loudness == pytest.approx(20 * float(rms.log10()), abs=0.01)
    assert (sound(first.sound) - VOICE).abs().max() <= 2**-14


def test_pictures_share_the_scale_of_the_first(
    tmp_path: Path, mel_spectrogram: MelSpectrogram
) -> None:
    write_audio(tmp_path / "a.wav", VOICE, RATE)
    write_audio(tmp_path / "b.wav", 0.1 * VOICE, RATE, "FLOAT")
    (first, second), _ = make_clips([tmp_path / "a.wav", tmp_path / "b.wav"], mel_spectrogram, FLAC)
    assert first is not None
    assert second is not None
    assert first.picture is not None
    assert second.picture is not None
    loud, soft = read(first.picture), read(second.picture)
    assert loud.min() == 0
    inside = (loud > 0.1) & (loud < 0.7)
    assert np.median((soft - loud)[inside]) == pytest.approx(20 / 80, abs=0.02)


def test_beyond_full_scale_all_become_softer(tmp_path: Path) -> None:
    loud = 2 * VOICE / VOICE.abs().max()
    write_audio(tmp_path / "a.wav", loud, RATE, "FLOAT")
    write_audio(tmp_path / "b.wav", loud / 4, RATE, "FLOAT")
    (first, second), notes = make_clips([tmp_path / "a.wav", tmp_path / "b.wav"], None, FLAC)
    assert first is not None
    assert second is not None
    assert float(sound(first.sound).abs().max()) == pytest.approx(1, abs=1e-4)
    assert float(sound(second.sound).abs().max()) == pytest.approx(0.25, abs=1e-4)
    assert "6.0 dB softer" in notes[0]
    assert first.picture is None


def test_mels_stereo_other_rates_and_silence(
    tmp_path: Path, mel_spectrogram: MelSpectrogram
) -> None:
    torch.save(mel_spectrogram(VOICE), tmp_path / "mel.pt")
    write_audio(tmp_path / "stereo.wav", VOICE.repeat(2, 1), 48_000)
    write_audio(tmp_path / "four.wav", VOICE.repeat(4, 1), RATE)
    write_audio(tmp_path / "silent.wav", 0 * VOICE, RATE)
    write_audio(tmp_path / "short.wav", VOICE[:5], RATE)
    torch.save(mel_spectrogram(VOICE).mT, tmp_path / "frames_first.pt")
    names = ["mel.pt", "stereo.wav", "four.wav", "silent.wav", "short.wav"]
    clips, _ = make_clips([tmp_path / name for name in names], mel_spectrogram, FLAC)
    mel, stereo, four, silent, short = (clip for clip in clips if clip)
    (frames_first,), _ = make_clips(
        [tmp_path / "frames_first.pt"], mel_spectrogram, FLAC, MelLayout(frames_first=True)
    )
    assert frames_first == mel
    assert mel.sound is None
    assert mel.picture is not None
    assert mel.seconds == pytest.approx(0.5, abs=0.02)
    assert sound(stereo.sound).shape[0] == 2
    assert stereo.seconds == len(VOICE) / 48_000
    assert sound(four.sound).shape[0] == 1
    assert silent.loudness == -120
    assert short.picture is None
    assert short.problem is None


def test_files_that_cannot_be_read_say_why(tmp_path: Path, mel_spectrogram: MelSpectrogram) -> None:
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    np.save(tmp_path / "bands.npy", np.zeros((7, 10), np.float32))
    paths = [tmp_path / "bad.wav", tmp_path / "bands.npy", tmp_path / "gone.wav"]
    clips, _ = make_clips(list(paths), mel_spectrogram, FLAC)
    problems = [clip.problem for clip in clips if clip]
    assert all(
        problem and str(path) in problem for problem, path in zip(problems, paths, strict=True)
    )
    (clip,), _ = make_clips([tmp_path / "bands.npy"], None, FLAC)
    assert clip is not None
    assert "convention is not known" in str(clip.problem)
