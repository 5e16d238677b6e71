"""A convention so small that tests can run whole commands, and files for it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from torchmelinv.analysis import MelSpectrogram
from torchmelinv.cli import main as cli
from torchmelinv.conventions import Compression, MelConvention
from torchmelinv.io.audio import write_audio

TINY = MelConvention(
    sample_rate=8000, n_fft=64, hop_length=16, n_mels=8, level=Compression(log="ln", floor=1e-5)
)

TINY_ONE = ["--convention", "tiny.json"]
QUICK = [*TINY_ONE, "--n-iter", "2"]


def tone(seconds: float = 0.2, seed: int = 0) -> torch.Tensor:
    """Return a chirp with a little noise, (n_samples,)."""
    time = torch.arange(int(seconds * TINY.sample_rate)) / TINY.sample_rate
    noise = torch.randn(time.shape, generator=torch.Generator().manual_seed(seed))
    return 0.5 * torch.sin(2 * torch.pi * (300 + 1000 * time) * time) + 0.01 * noise


def tiny_mel(seconds: float = 0.2, seed: int = 0) -> torch.Tensor:
    """Return the mel of `tone`, (8, n_frames)."""
    return MelSpectrogram(TINY)(tone(seconds, seed))


def stereo(seconds: float = 0.2) -> torch.Tensor:
    """Return two tones that share most of their sound, (2, n_samples)."""
    return torch.stack([tone(seconds), 0.5 * tone(seconds, 1)])


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """Return a new current folder with tiny.json, mel.npy and speech.wav."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.json").write_text(TINY.to_json())
    np.save("mel.npy", tiny_mel().numpy())
    write_audio("speech.wav", tone(), TINY.sample_rate)
    return tmp_path


@pytest.fixture(name="run")
def console(capsys):
    """Return a function that runs a command line and returns its exit code, stdout and stderr."""

    def call(*arguments):
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as error:  # from argparse
            code = error.code
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return call
