"""Recordings that the benchmarks invert, from `shared/audio` next to the checkout.

`shared/predicted` has mels that acoustic models predicted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.records import ROOT
from torchmelinv.demo import signal
from torchmelinv.io.audio import read_audio

SHARED = Path(os.environ.get("TORCHMELINV_SHARED", ROOT.parent / "shared"))
AUDIO = SHARED / "audio"
PREDICTED = SHARED / "predicted"


def clips(kinds: Iterable[str]) -> list[Path]:
    """Return the recordings of these kinds (`speech`, `music`, `percussion`), sorted."""
    return sorted(path for kind in kinds for path in AUDIO.glob(f"{kind}_*"))


def read_mono(path: Path, sample_rate: float, seconds: float | None = None) -> Tensor:
    """Return the first seconds of a recording, (n_samples,); channels are averaged."""
    waveform = read_audio(path, sample_rate)[0].mean(0)
    return waveform if seconds is None else waveform[: round(seconds * sample_rate)]


def speech(n_items: int, n_samples: int, sample_rate: float) -> tuple[Tensor, str]:
    """Return concatenated speech recordings (n_items, n_samples), and a phrase for their source.

    Without recordings, the synthetic voice of the demo takes their place.
    """
    parts, source = [read_mono(path, sample_rate) for path in clips(["speech"])], "recorded speech"
    if not parts:
        parts, source = [signal(sample_rate=sample_rate)], "the demo's synthetic voice"
    joined, total = torch.cat(parts), n_items * n_samples
    repeats = -(-total // len(joined))
    return joined.repeat(repeats)[:total].reshape(n_items, n_samples), source
