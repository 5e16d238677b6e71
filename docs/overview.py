"""`python docs/overview.py`: draw the picture of the README, docs/_static/overview.png."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from matplotlib.figure import Figure

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "_ext")]

from sounds import CONVENTION, spectrogram_db  # noqa: E402

import torchmelinv as tmi  # noqa: E402
from benchmarks import peers  # noqa: E402
from torchmelinv.synthetic_voice import signal  # noqa: E402
from torchmelinv.transforms.compression import decompress  # noqa: E402

SECONDS = 1.45


def main() -> None:
    convention = tmi.preset(CONVENTION)
    rate = convention.sample_rate
    waveform = signal(SECONDS, rate)
    mel = tmi.MelSpectrogram(convention)(waveform)
    of_librosa = peers.inverter("librosa", convention)(decompress(mel, convention.level))
    estimate = tmi.MelInverter(convention)(mel)
    panels = {
        f"the mel, {convention.n_mels} bands": mel.clamp(min=float(mel.max()) - 8),
        "librosa": spectrogram_db(of_librosa, rate),
        "torchmelinv": spectrogram_db(estimate, rate),
        "the original": spectrogram_db(waveform, rate),
    }
    figure = Figure(figsize=(10, 2.7), dpi=100, layout="constrained", facecolor="white")
    for axis, (title, values) in zip(figure.subplots(1, 4), panels.items(), strict=True):
        axis.imshow(values, origin="lower", aspect="auto", cmap="magma", interpolation="nearest")
        axis.set_title(title, fontsize=11)
        axis.set_xticks([])
        axis.set_yticks([])
    figure.savefig(DOCS / "_static" / "overview.png")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
