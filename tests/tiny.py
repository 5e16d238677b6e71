"""A convention so small that a test can walk the whole path, and its files."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from torchmelinv import cli
from torchmelinv.analysis import MelAnalyzer
from torchmelinv.conventions import Level, MelConvention
from torchmelinv.files import write_audio

TINY = MelConvention(sample_rate=8000, n_fft=64, hop_length=16, n_mels=8, level=Level(log="ln", floor=1e-5))

TINY_ONE = ["--convention", "tiny.json"]
QUICK = [*TINY_ONE, "--n-iter", "2"]


def tone(seconds: float = 0.2, seed: int = 0) -> torch.Tensor:
    """A chirp with a little noise, (n_samples,)."""
    time = torch.arange(int(seconds * TINY.sample_rate)) / TINY.sample_rate
    noise = torch.randn(time.shape, generator=torch.Generator().manual_seed(seed))
    return 0.5 * torch.sin(2 * torch.pi * (300 + 1000 * time) * time) + 0.01 * noise


def tiny_mel(seconds: float = 0.2, seed: int = 0) -> torch.Tensor:
    """Its mel, (8, n_frames)."""
    return MelAnalyzer(TINY)(tone(seconds, seed))


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """The current folder of a test: tiny.json, mel.npy and speech.wav lie there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.json").write_text(TINY.to_json())
    np.save("mel.npy", tiny_mel().numpy())
    write_audio("speech.wav", tone(), TINY.sample_rate)
    return tmp_path


@pytest.fixture(name="run")
def console(capsys):
    """Run a command line: its exit code, stdout and stderr. A traceback never shows."""

    def call(*words):
        try:
            code = cli.main([str(word) for word in words])
        except SystemExit as leaving:  # argparse's way
            code = leaving.code
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return call
