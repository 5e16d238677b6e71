"""The tables of `results/quality.json`, and a summary for the README."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from benchmarks import quality_grids
from benchmarks.markdown import paragraph, provenance, table
from benchmarks.mels import MELS, describe
from benchmarks.quality_grids import cells, headings, joined_cells, method_label, rows_in
from benchmarks.records import Record
from benchmarks.rows import CASCADE, ITERATIONS, Row
from benchmarks.scores import mean
from benchmarks.targets import OURS, speech_mean

Means = dict[str, float]


def _music_mean(section: Record, which: Row) -> Means:
    clips = [clip for name, clip in section.items() if not name.startswith("speech_")]
    scores = [clip[which.key] for clip in clips if which.key in clip]
    return mean(scores) if scores else {}


def _clean(section: Record) -> list[Row]:
    """Return the rows on clean mels."""
    return [row for row in rows_in(section) if row.mel == "clean"]


def _short(sections: Record) -> list[Row]:
    """Return the rows of all sections on clean mels with 32 and 100 iterations, each once."""
    rows = dict.fromkeys(row for section in sections.values() for row in _clean(section))
    return [row for row in rows if row.n_iter in (32, 100) and row.method != "default"]


def _by_convention(
    record: Record,
    metrics: Sequence[str],
    section_mean: Callable[[Record, Row], Means],
    heading: str,
) -> str:
    """Return a table with one line per method and one column per convention."""
    sections, lines = record["comparison"], []
    for row in _short(sections):
        means = [section_mean(section, row) for section in sections.values()]
        label = method_label(row.method, record["versions"])
        values = [joined_cells(each, metrics) for each in means]
        lines.append([label, row.init, str(row.n_iter), *values])
    return table([heading, "init", "iterations", *(f"`{name}`" for name in sections)], lines)


def conventions_short(record: Record) -> str:
    """Return speech scores by method and convention."""
    metrics, heading = ("pesq_wb", "mel_error_db"), "PESQ-WB / mel error in dB"
    return _by_convention(record, metrics, speech_mean, heading)


def music(record: Record) -> str:
    """Return distances on music and percussion by method and convention."""
    metrics = ("mel_error_db", "spectral_convergence_db")
    return _by_convention(record, metrics, _music_mean, "mel error / spectral convergence, dB")


def conventions(record: Record) -> str:
    """Return a table of speech scores for each convention."""
    parts = []
    for name, section in record["comparison"].items():
        lines = []
        for row in _clean(section):
            label = method_label(row.method, record["versions"])
            lines.append([label, row.init, str(row.n_iter), *cells(speech_mean(section, row))])
        parts += [f"{describe(name)}:", table(["", "init", "iterations", *headings()], lines)]
        for peer, reason in record["absent"].get(name, {}).items():
            parts.append(f"Without {peer}: {' '.join(reason.split())}")
    return "\n\n".join(parts)


def degraded(record: Record, counts: Sequence[int] = (32, 100)) -> str:
    """Return speech scores on blurred and noisy mels by method and convention."""
    sections = record["comparison"]
    lines = [line for mel in MELS[1:] for line in _degraded_lines(record, mel, counts)]
    head = ["mel", "PESQ-WB / ESTOI", "init", "iterations"]
    return table([*head, *(f"`{name}`" for name in sections)], lines)


def _degraded_lines(record: Record, mel: str, counts: Sequence[int]) -> Iterator[list[str]]:
    sections, metrics = record["comparison"], ("pesq_wb", "estoi")
    for row in dict.fromkeys(row for section in sections.values() for row in rows_in(section)):
        if row.mel == mel and (row.n_iter in counts or row.method == "librosa"):
            label = method_label(row.method, record["versions"])
            means = [speech_mean(section, row) for section in sections.values()]
            values = [joined_cells(each, metrics) for each in means]
            yield [mel, label, row.init, str(row.n_iter), *values]


def iterations(record: Record) -> str:
    """Return the scores of mel_consistent after 0 to 300 iterations."""
    section, lines = record["comparison"]["hifigan_22k"], []
    for n_iter in ITERATIONS:
        row = Row("clean", *OURS, n_iter)
        lines.append([str(n_iter), *cells(speech_mean(section, row))])
    return table(["iterations", *headings()], lines)


def targets(record: Record) -> str:
    """Return the quality targets."""
    lines = []
    for target in record["targets"]:
        limit = f"≥ {target['at_least']:g}" if "at_least" in target else f"≤ {target['at_most']:g}"
        verdict = "reached" if target["reached"] else "**not reached**"
        lines.append([target["what"], f"{target['value']:.3f}", limit, verdict])
    return table(["", "measured", "target", ""], lines)


def _explanation(record: Record) -> str:
    section = next(iter(record["comparison"].values()))
    n_speech = sum(name.startswith("speech_") for name in section)
    return (
        f"Means (of times, medians) over {n_speech} speech recordings, the first "
        f"{record['clip_seconds']:g} s of each. Seconds are the processor time of one call on one "
        "thread. Higher is better for PESQ and ESTOI, lower for the other columns."
    )


def summary(record: Record) -> str:
    """Return the table of the README: clean `hifigan_22k` mels, one line per method."""
    section, versions = record["comparison"]["hifigan_22k"], record["versions"]
    default = next(row for row in _clean(section) if row.method == "default")
    labels = {
        Row("clean", "librosa", "random", 32): f"librosa {versions['librosa']}",
        Row("clean", "torchaudio", "random", 32): f"torchaudio {versions['torchaudio']}",
        Row("clean", CASCADE, "random", 32): "torchmelinv, a magnitude, then fast Griffin-Lim",
        default: "**torchmelinv, default**",
        Row("clean", *OURS, 100): "torchmelinv",
        Row("clean", "true+raar", "pghi", 100): "upper bound: the magnitude of the recording",
    }
    metrics = ("pesq_wb", "estoi", "mel_error_db", "seconds")
    lines = [
        [label, str(row.n_iter), *cells(speech_mean(section, row), metrics)]
        for row, label in labels.items()
    ]
    explanation = f"Mels of HiFi-GAN (80 bands). {_explanation(record)} {provenance(record)}."
    head = ["", "iterations", *headings(metrics)]
    return f"{table(head, lines)}\n\n{paragraph(explanation)}\n"


def render_provenance(record: Record) -> str:
    """Return how the tables were measured, and what `default` is."""
    section = next(iter(record["comparison"].values()))
    default = next(row for row in rows_in(section) if row.method == "default")
    n_speech = sum(name.startswith("speech_") for name in record["all_methods"])
    explanation = (
        f"{_explanation(record)} `default` is `MelInverter(convention)` ({default.n_iter} "
        f"iterations from `{default.init}`). The tables of phase methods, initial phases and joint "
        f"forms use {n_speech} of the speech recordings. The whole run took "
        f"{record['minutes']:g} minutes. {provenance(record)}."
    )
    return f"{paragraph(explanation)}\n"


def _block(render: Callable[[Record], str]) -> Callable[[Record], str]:
    return lambda record: render(record) + "\n"


# name in the marker: function
SECTIONS: dict[str, Callable[[Record], str]] = {
    "summary": summary,
    "quality_short": _block(conventions_short),
    "quality_provenance": render_provenance,
    "quality_targets": _block(targets),
    "quality_conventions": _block(conventions),
    "quality_music": _block(music),
    "quality_degraded": _block(degraded),
    "quality_iterations": _block(iterations),
    "quality_methods": _block(quality_grids.methods),
    "quality_joint": _block(quality_grids.joint),
    "quality_true_magnitude": _block(quality_grids.true_magnitude),
}
