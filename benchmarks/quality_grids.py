"""Quality tables by method, initial phase and iterations; labels and cells of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from benchmarks.markdown import table
from benchmarks.mels import describe
from benchmarks.records import Record
from benchmarks.rows import CASCADE, INITS, PUBLISHED, VARIANTS, Row, parse_row
from benchmarks.scores import MAIN, METRICS
from benchmarks.targets import speech_mean, true_mean, true_rows

LABELS = {
    "default": "default",
    "coarse_to_fine": "**`coarse_to_fine`**",
    "mel_consistent": "**`mel_consistent`**",
    CASCADE: "`fast_griffin_lim`",
    "entropic+raar": "`raar`",
    "true+fast_griffin_lim": "true magnitude, `fast_griffin_lim`",
    "true+raar": "true magnitude, `raar`",
}
GRID_LABELS = {
    "mel_consistent:griffin_lim": "`MelConsistent(GriffinLim(0.99))`",
    "mel_consistent:admm": "`MelConsistent(ADMM())`",
    "mel_consistent:inner_iter=1": "`MelConsistent(inner_iter=1)`",
    "mel_consistent:inner_iter=3": "`MelConsistent(inner_iter=3)`",
    "mel_consistent:damping=0.5": "`MelConsistent(damping=0.5)`",
    "published:ipalm": "published form, iPALM",
    "published:admm": "published form, ADMM",
}


def method_label(name: str, versions: Record) -> str:
    """Return the label of a method in the tables by convention."""
    return f"{name} {versions[name]}" if name in versions else LABELS[name]


def _grid_label(name: str) -> str:
    return GRID_LABELS.get(name) or f"`{name.rsplit('+', 1)[-1]}`"


def rows_in(section: Record) -> list[Row]:
    """Return the rows of all clips of a section, each once."""
    return [
        parse_row(key) for key in dict.fromkeys(key for clip in section.values() for key in clip)
    ]


def headings(metrics: Iterable[str] = MAIN) -> list[str]:
    """Return the headings of metrics."""
    return [METRICS[name][0] for name in metrics]


def cells(means: dict[str, float], metrics: Iterable[str] = MAIN) -> list[str]:
    """Return one cell for each metric; empty where it is missing."""
    return [METRICS[name][1].format(means[name]) if name in means else "" for name in metrics]


def joined_cells(means: dict[str, float], metrics: Iterable[str]) -> str:
    """Return one cell for all metrics."""
    return " / ".join(cells(means, metrics)) if means else "absent"


def _grid(rows: Sequence[Row], cell: Callable[[Row], str], heading: str) -> str:
    """Return a table with one line per method and init, and one column per iteration count."""
    counts = sorted({row.n_iter for row in rows})
    methods = list(dict.fromkeys(row.method for row in rows))
    lines = []
    for method in methods:
        of_method = [row for row in rows if row.method == method]
        for init in sorted({row.init for row in of_method}, key=INITS.index):
            values = {row.n_iter: cell(row) for row in of_method if row.init == init}
            lines.append([_grid_label(method), init, *(values.get(count, "") for count in counts)])
    return table([heading, "init", *map(str, counts)], lines)


def methods(record: Record) -> str:
    """Return scores and times of all phase methods and inits, then of the filterbank inverses."""
    section = record["all_methods"]
    rows = [
        row
        for row in rows_in(section)
        if row.method in ("coarse_to_fine", "mel_consistent") or row.method.startswith("entropic+")
    ]
    timed = [row for row in rows if row.init == "random" and row.n_iter]

    def cell(*metrics: str) -> Callable[[Row], str]:
        return lambda row: joined_cells(speech_mean(section, row), metrics)

    return "\n\n".join(
        [
            _grid(rows, cell("pesq_wb", "mel_error_db"), "PESQ-WB / mel error in dB after"),
            _grid(timed, cell("seconds"), "seconds of"),
            _magnitudes(section),
        ]
    )


def _magnitudes(section: Record) -> str:
    lines = []
    for row in rows_in(section):
        magnitude, _, phase = row.method.partition("+")
        if phase == "fast_griffin_lim" and (row.init, row.n_iter) == ("random", 32):
            lines.append([f"`{magnitude}`", *cells(speech_mean(section, row))])
    heading = "`magnitude=`, 32 iterations of `fast_griffin_lim` from random phases"
    return table([heading, *headings()], lines)


def joint(record: Record) -> str:
    """Return scores of all joint forms."""
    section, names = record["all_methods"], ("mel_consistent", *VARIANTS, *PUBLISHED)
    rows = [
        row
        for row in rows_in(section)
        if row.method in names and row.init in ("random", "pghi") and row.n_iter >= 32
    ]
    metrics = ("pesq_wb", "estoi", "mel_error_db", "seconds")
    return _grid(
        rows,
        lambda row: joined_cells(speech_mean(section, row), metrics),
        "PESQ-WB / ESTOI / mel error in dB / seconds",
    )


def true_magnitude(record: Record) -> str:
    """Return spectral convergence at the true magnitude, in a table for each overlap."""
    number = METRICS["spectral_convergence_db"][1]
    parts = []
    for name, section in record["true_magnitude"].items():

        def cell(row: Row, section: Record = section) -> str:
            return number.format(true_mean(section, row))

        grid = _grid(true_rows(section), cell, "spectral convergence in dB after")
        parts += [f"STFT of {describe(name)}, {len(section)} recordings:", grid]
    return "\n\n".join(parts)
