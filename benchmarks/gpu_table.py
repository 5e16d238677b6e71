"""The tables of `benchmarks/results/gpu-*.json`, one file per device."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from benchmarks import gpu_targets
from benchmarks.gpu_inputs import MAIN
from benchmarks.markdown import paragraph
from benchmarks.markdown import table as markdown_table
from benchmarks.records import RESULTS, Record, load

NO_RESULTS = (
    "There are no measurements on a GPU yet. `make bench-gpu` makes them on a machine with a CUDA "
    "device."
)
EXPLANATION = (
    "Signals of 10 s. Times are medians of many blocks between two events, after a warm-up; the "
    "inputs take turns, so that they are not in the cache. `kernels` are the public functions "
    "under the backend `cuda`. A `graph` is a CUDA graph of each call, or of a step for all sets "
    "of inputs, without gaps between launches. The time of an iteration in a call is its share of "
    "the call. "
    "Every time belongs to a result within its tolerance of float64; the checks are in the file."
)
Columns = dict[str, Callable[[Record], str]]


def provenance(record: Record) -> str:
    """Return dates, device and versions as a phrase."""
    device, versions = record["device"], record["versions"]
    dates = {case.get("date", record["date"]) for case in record["cases"].values()}
    packages = [name for name in ("torch", "torchaudio") if name in versions]
    copy = f"{device['copy_bytes_per_second'] / 1e12:.2f} TB/s in a large copy"
    return ", ".join(
        [
            " and ".join(sorted(dates | {record["date"]})),
            f"{device['name']} ({copy})",
            f"CUDA {device['cuda']}",
            *(f"{name} {versions[name]}" for name in packages),
            f"Python {versions['python']}",
        ]
    )


def duration(seconds: float) -> str:
    """Return µs, ms or s."""
    if seconds < 0.9995e-3:
        return f"{seconds * 1e6:.3g} µs"
    return f"{seconds * 1e3:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def ratio(value: float) -> str:
    """Return a factor, or nothing for NaN."""
    if math.isnan(value):
        return ""
    return f"{value:.3g} ×" if value < 999.5 else f"{value:.0f} ×"


def memory(value: float) -> str:
    """Return MB."""
    return f"{value / 2**20:.0f} MB" if value >= 2**20 else f"{value / 2**20:.2f} MB"


def _field(field: str, render: Callable[[float], str]) -> Callable[[Record], str]:
    return lambda entry: "" if entry.get(field) is None else render(entry[field])


def _tera(value: float) -> str:
    return f"{value / 1e12:.3g}"


CALL: Columns = {"call": _field("seconds", duration)}
PEAK: Columns = {"peak memory": _field("peak_bytes", memory)}
ITERATION: Columns = {
    "iteration": _field("seconds_per_iteration", duration),
    "least bytes / time, TB/s": _field("bytes_per_second", _tera),
    "TFLOP/s": _field("flops_per_second", _tera),
    "relative to the memory bound": _field("times_memory_bound", ratio),
}
PARTS: Columns = {
    f"peak memory, {part}": _field(f"{part}_peak_bytes", memory) for part in ("forward", "backward")
}
RESIDUAL: Columns = {"‖Ms − m‖ / ‖m‖": lambda entry: f"{entry['checks'][0]['value']:.0e}"}
MEL_ERROR: Columns = {"mel error, dB": lambda entry: f"{entry['checks'][0]['value']:.1f}"}
# kind of case: (the implementation that others are compared with, columns)
TABLES: dict[str, tuple[str | None, Columns]] = {
    "call": ("torchaudio", CALL | ITERATION | PEAK),
    "step": ("plain torch", ITERATION | PEAK),
    "mel": ("plain torch", ITERATION | PEAK),
    "entropic": ("torchaudio InverseMelScale", CALL | ITERATION | PEAK | RESIDUAL),
    "waveform": ("torchaudio", CALL | PEAK | MEL_ERROR),
    "init": (None, CALL | PEAK),
    "gradient": ("torchaudio", CALL | PARTS),
}

# kind of case: columns of what it measures instead of times
MEASURED: dict[str, Columns] = {
    "corpus": {
        "seconds of audio a second": _field(
            "audio_seconds_per_second", lambda value: f"{value:.0f}"
        ),
        "GPU busy": _field("busy", lambda value: f"{100 * value:.0f} %"),
        "peak memory": _field("peak_bytes", memory),
        "mel error, dB": _field("mel_error_db", lambda value: f"{value:.1f}"),
    },
    "push": {
        "latency": _field("seconds", duration),
        "95 % of the frames": _field("seconds_of_95_percent", duration),
        "times real time": _field("times_real_time", ratio),
    },
    "launches": {
        "launches": _field("launches", lambda value: f"{value:.0f}"),
        "waits": _field("waits", lambda value: f"{value:.0f}"),
    },
}


def targets(record: Record) -> str:
    """Return the targets: reached, not reached, or not measured."""
    lines = []
    for target in gpu_targets.evaluate(record):
        if target.value is None:
            value, verdict = "not measured", ""
        else:
            value = f"{target.value:.3g}" + (" ×" if target.limit.endswith("×") else "")
            verdict = "reached" if target.reached else "**not reached**"
        name = f"`{target.implementation}`" if target.implementation else ""
        lines.append([target.what, name, value, target.limit, verdict])
    return markdown_table(["", "implementation", "measured", "target", ""], lines)


def _cases(record: Record, kind: str) -> list[tuple[str, Record]]:
    return [
        (key, case)
        for key, case in record["cases"].items()
        if key.split()[0] == kind and case.get("implementations")
    ]


def table(record: Record, kind: str, columns: Columns | None = None, only: str = "") -> str:
    """Return all cases of a kind, or those with `only` in their names.

    There is a line for each implementation that has a time, with its speed relative to the base.
    """
    base, default_columns = TABLES[kind]
    columns, lines = columns or default_columns, []
    for key, case in _cases(record, kind):
        if only not in key:
            continue
        timed = {
            name: entry for name, entry in case["implementations"].items() if "seconds" in entry
        }
        base_seconds = timed.get(base or "", {}).get("seconds", math.nan)
        for index, (name, entry) in enumerate(timed.items()):
            label = f"**{name}**" if "kernels" in name else name
            values = [render(entry) for render in columns.values()]
            speed = [ratio(base_seconds / entry["seconds"])] if base else []
            lines.append(["" if index else case["title"], label, *values, *speed])
    head = ["", "", *columns, *([f"speed relative to {base}"] if base else [])]
    return markdown_table(head, lines) if lines else ""


def accuracy(record: Record) -> str:
    """Return the accuracy of all settings and implementations."""
    numbers = ("step_error", "convergence_error_db", "log_spectral_error_db")
    flags, lines = ("reproducible", "batch_independent"), []
    for _, case in _cases(record, "accuracy"):
        for name, entry in case["implementations"].items():
            if values := entry.get("accuracy"):
                errors = [f"{values[field]:.1e}" for field in numbers]
                answers = ["yes" if values[field] else "no" for field in flags]
                lines.append([case["setting"], name, *errors, *answers])
    head = ["", "", "step, of the peak", "convergence, dB", "log spectrum, dB"]
    head += ["reproducible", "independent of the batch"]
    explanation = "Errors against float64 from the same initial signal; in dB after 100 iterations:"
    return f"{explanation}\n\n{markdown_table(head, lines)}" if lines else ""


def measured(record: Record, kind: str) -> str:
    """Return the table of cases that measure something else than times."""
    columns, lines = MEASURED[kind], []
    for _, case in _cases(record, kind):
        found = {
            name: entry[kind] for name, entry in case["implementations"].items() if kind in entry
        }
        for index, (name, values) in enumerate(found.items()):
            cells = [render(values) for render in columns.values()]
            lines.append(["" if index else case["title"], name, *cells])
    return markdown_table(["", "", *columns], lines) if lines else ""


def work(record: Record) -> str:
    """Return the least bytes and operations of an iteration."""
    lines = []
    for kind in ("step", "mel", "entropic", "gradient"):
        for _, case in _cases(record, kind):
            if "work" in case:
                n_bytes, flops = case["work"]["bytes"] / 1e6, case["work"]["flops"] / 1e9
                lines.append([case["title"], f"{n_bytes:.4g}", f"{flops:.4g}"])
    head = ["one iteration", "MB", "GFLOP"]
    return f"{paragraph(record['model'])}\n\n{markdown_table(head, lines)}" if lines else ""


def failures(record: Record) -> str:
    """Return what has no time, and why."""
    lines = []
    for key, case in record["cases"].items():
        if "failed" in case:
            lines.append(f"- {key}: {case['failed']}")
        names: dict[str, list[str]] = {}
        for name, entry in case.get("implementations", {}).items():
            if "failed" in entry:
                names.setdefault(entry["failed"], []).append(name)
        lines += [f"- {key}, {'; '.join(each)}: {reason}" for reason, each in names.items()]
    return "Without a time:\n\n" + "\n".join(lines) if lines else ""


def _for_each_device(render: Callable[[Record], list[str]]) -> str:
    parts = []
    for path in sorted(RESULTS.glob("gpu-*.json")):
        record = load(path.stem)
        parts += [*filter(None, render(record)), f"{provenance(record)}."]
    return "\n\n".join(parts or [NO_RESULTS]) + "\n"


def render_short(_: Any) -> str:
    """Return the tables of the guide: whole calls."""
    columns = CALL | PEAK

    def render(record: Record) -> list[str]:
        parts = [measured(record, kind) for kind in ("corpus", "push")]
        return [table(record, "call", columns, str(MAIN)), table(record, "waveform"), *parts]

    return _for_each_device(render)


def render_targets(_: Any) -> str:
    """Return the targets."""
    return _for_each_device(lambda record: [targets(record)])


def render(_: Any) -> str:
    """Return all tables."""

    def render(record: Record) -> list[str]:
        tables = [table(record, kind) for kind in TABLES]
        tables += [measured(record, kind) for kind in MEASURED]
        others = [accuracy(record), work(record), failures(record)]
        return [paragraph(EXPLANATION), *tables, *others]

    return _for_each_device(render)
