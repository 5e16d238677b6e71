"""`python -m benchmarks.quality_figure`: PESQ against processor time, of ours and of others."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

import torchmelinv as tmi
from benchmarks import records
from benchmarks.records import Record
from benchmarks.rows import CASCADE, ITERATIONS, Row
from benchmarks.targets import AT_THE_FULL_RATE, OURS, speech_mean

FIGURE = records.RESULTS / "quality.svg"
# (method, initial phase): label, color, points by which text is above the line
LINES = {
    OURS: ("coarse_to_fine (default)", "C3", 7),
    (AT_THE_FULL_RATE, "pghi"): ("mel_consistent", "C0", -7),
    (CASCADE, "random"): ("entropic, then fast_griffin_lim", "C2", 7),
    ("librosa", "random"): ("librosa", "0.4", 7),
    ("torchaudio", "random"): ("torchaudio", "C1", -7),
}
PANELS = {
    "hifigan_22k": "80 magnitude mels, 1024/256 (hifigan_22k)",
    "librosa_melspectrogram": "128 power mels, 2048/512 (librosa's default)",
}


def draw(record: Record) -> Figure:
    """Draw a panel for each convention, with each line labeled at its end."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    axes = figure.subplots(1, len(PANELS))
    for axis, (name, title) in zip(axes, PANELS.items(), strict=True):
        for method, (label, color, above) in LINES.items():
            points = _points(record["comparison"][name], method)
            times, values = [x for _, x, _ in points], [y for *_, y in points]
            axis.plot(times, values, "o-", color=color, markersize=4)
            style: dict[str, Any] = {
                "textcoords": "offset points",
                "color": color,
                "va": "center",
            }
            for n_iter, *point in points:
                axis.annotate(str(n_iter), point, (0, above), ha="center", fontsize=7, **style)
            offset = (12, 2 * above if above < 0 else 0)
            axis.annotate(label, (times[-1], values[-1]), offset, fontsize=9, **style)
        axis.set(xscale="log", xlabel="processor time for 5 s of speech, seconds", title=title)
        axis.set_xlim(right=axis.get_xlim()[1] * 5)
        axis.grid(alpha=0.25)
    axes[0].set_ylabel("PESQ-WB; numbers are iterations")
    return figure


def _points(section: Record, method: tuple[str, str]) -> list[tuple[int, float, float]]:
    """Return iterations, seconds and PESQ of a method's rows on clean speech."""
    means = {n: speech_mean(section, Row("clean", *method, n)) for n in ITERATIONS if n}
    return [(n, each["seconds"], each["pesq_wb"]) for n, each in means.items() if each]


def main() -> None:
    """Draw `results/quality.svg` from `results/quality.json`."""
    tmi.plot.save(draw(records.load("quality")), FIGURE)


if __name__ == "__main__":
    main()
