"""The tables of `benchmarks/results/training.json`."""

from __future__ import annotations

import statistics

from benchmarks.markdown import paragraph, provenance, table
from benchmarks.records import Record

# name in the file: (heading, digits)
SCORES = {
    "lsd_40_db": ("40 dB", 2),
    "lsd_60_db": ("60 dB", 2),
    "log_mel_l1": ("log-mel L1", 3),
    "consistency_db": ("consistency, dB", 2),
}
LOSSES = {
    "mel": "mel loss",
    "mel_lowered": "mel loss, output lowered by a constant",
    "waveform": "**mel loss, then waveform loss**",
}


def render(record: Record) -> str:
    """Return how well gradients recover a mel, and the scores of the mel denoisers."""
    denoiser = record["denoiser"]
    explanation = (
        f"Denoisers: {denoiser['steps']} steps, means over {len(denoiser['seeds'])} seeds and "
        f"{denoiser['held_out']} held-out signals. The first two columns are log-spectral "
        "distances in dB, within 40 and 60 dB of the peak. Lower is better. "
        f"{provenance(record)}."
    )
    return f"{_recovery(record)}\n\n{_denoisers(record)}\n\n{paragraph(explanation)}\n"


def _recovery(record: Record) -> str:
    lines = []
    for run in record["recovery"]:
        before, after = run["before"], run["after"]
        factor = f"{before / after:.1f} ×"
        lines.append([f"`{run['gradient']}`", f"{before:.2f}", f"{after:.3f}", factor])
    head = [
        "mel recovered from its waveform, `gradient=`",
        "log-mel L1 before",
        "after",
        "lower by",
    ]
    return table(head, lines)


def _denoisers(record: Record) -> str:
    lines = []
    for kind, scores in record["denoiser"]["scores"].items():
        means = [f"{statistics.mean(scores[name]):.{n}f}" for name, (_, n) in SCORES.items()]
        lines.append([LOSSES[kind], *means])
    return table(["loss of the mel denoiser", *(head for head, _ in SCORES.values())], lines)
