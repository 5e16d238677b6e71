"""`python -m benchmarks.quality_figure`: PESQ against processor time, of ours and of others."""

from __future__ import annotations

from matplotlib.figure import Figure

import torchmelinv as tmi
from benchmarks import records
from benchmarks.records import Record
from benchmarks.rows import CASCADE, ITERATIONS, Row
from benchmarks.targets import AT_THE_FULL_RATE, OURS, speech_mean

FIGURE = records.RESULTS / "quality.svg"
# (method, initial phase): label, color
LINES = {
    OURS: ("coarse_to_fine (default)", "C3"),
    (AT_THE_FULL_RATE, "pghi"): ("mel_consistent", "C0"),
    (CASCADE, "random"): ("entropic, then fast_griffin_lim", "C2"),
    ("librosa", "random"): ("librosa", "0.4"),
    ("torchaudio", "random"): ("torchaudio", "C1"),
}
PANELS = {
    "hifigan_22k": "80 magnitude mels, 1024/256 (hifigan_22k)",
    "librosa_melspectrogram": "128 power mels, 2048/512 (librosa's default)",
}


def draw(record: Record) -> Figure:
    """Draw a panel for each convention, with each line labeled at its end."""
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    axes = figure.subplots(1, len(PANELS))
    for axis, (name, title) in zip(axes, PANELS.items(), strict=True):
        section = record["comparison"][name]
        for method, (label, color) in LINES.items():
            means = {n: speech_mean(section, Row("clean", *method, n)) for n in ITERATIONS if n}
            means = {n: each for n, each in means.items() if each}
            seconds = [each["seconds"] for each in means.values()]
            values = [each["pesq_wb"] for each in means.values()]
            axis.plot(seconds, values, "o-", color=color, markersize=4)
            axis.annotate(
                label,
                (seconds[-1], values[-1]),
                (6, 0),
                textcoords="offset points",
                color=color,
                va="center",
                fontsize=9,
            )
            for n, x, y in zip(means, seconds, values, strict=True):
                axis.annotate(
                    str(n),
                    (x, y),
                    (0, 5),
                    textcoords="offset points",
                    ha="center",
                    fontsize=7,
                    color=color,
                )
        axis.set(xscale="log", xlabel="processor time for 5 s of speech, seconds", title=title)
        axis.set_xlim(right=axis.get_xlim()[1] * 6)
        axis.grid(alpha=0.25)
    axes[0].set_ylabel("PESQ-WB, mean of 25 recordings")
    return figure


def main() -> None:
    """Draw `results/quality.svg` from `results/quality.json`."""
    tmi.plot.save(draw(records.load("quality")), FIGURE)


if __name__ == "__main__":
    main()
