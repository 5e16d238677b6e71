"""The tables of `benchmarks/results/gpu-*.json`, one file for each device; without a file a sentence that says so."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from benchmarks import gpu_targets
from benchmarks.common import RESULTS, Record, load, markdown
from benchmarks.gpu_inputs import MAIN
from benchmarks.gpu_targets import Row

NOTHING = "Nothing has been measured on a GPU yet: `make bench-gpu`, on a machine with a CUDA device, fills this in."
MISSING = "not measured"


def records() -> list[Record]:
    """What was measured, device by device."""
    return [load(path.stem) for path in sorted(RESULTS.glob("gpu-*.json"))]


def where(record: Record) -> str:
    """Date, device and versions."""
    device, versions = record["device"], record["versions"]
    packages = ", ".join(f"{name} {versions[name]}" for name in ("torch", "torchaudio") if name in versions)
    copy = f"{device['copy_bytes_per_second'] / 1e12:.2f} TB/s in a large copy"
    return f"{record['date']}, {device['name']} ({copy}), CUDA {device['cuda']}, {packages}, Python {versions['python']}"


def duration(seconds: float | None) -> str:
    """In ms or µs."""
    if seconds is None:
        return ""
    if seconds < 0.9995e-3:
        return f"{seconds * 1e6:.3g} µs"
    return f"{seconds * 1e3:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def _times(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.3g} ×" if value < 999.5 else f"{value:.0f} ×"


def _memory(value: float | None) -> str:
    return "" if value is None else f"{value / 2**20:.0f} MB" if value >= 2**20 else f"{value / 2**20:.2f} MB"


def _value(row: Row) -> str:
    if row.value is None:
        return MISSING
    return f"{row.value:.3g}" + (" ×" if row.wanted.endswith("×") else "")


def targets(record: Record) -> str:
    """Reached, missed, or not measured."""
    rows = []
    for row in gpu_targets.verdict(record):
        verdict = "reached" if row.reached else "" if row.value is None else "**missed**"
        rows.append([row.what, f"`{row.by}`" if row.by and row.value is not None else "", _value(row), row.wanted, verdict])
    return markdown(["", "by", "measured", "wanted", ""], rows)


def _cases(record: Record, kind: str) -> list[tuple[str, Record]]:
    return [(key, case) for key, case in record["cases"].items() if key.startswith(kind) and case.get("contenders")]


def _table(record: Record, kind: str, base: str | None, columns: dict[str, Callable[[Record], str]]) -> str:
    """All cases of a kind, a row for each contender that has a time; a ratio to `base` where that is named."""
    rows = []
    for _, case in _cases(record, kind):
        timed = {name: entry for name, entry in case["contenders"].items() if "seconds" in entry}
        for number, (name, entry) in enumerate(timed.items()):
            against = [] if base is None else [_times(timed[base]["seconds"] / entry["seconds"]) if base in timed else ""]
            label = f"**{name}**" if "kernels" in name else name
            rows.append(["" if number else case["title"], label, *(make(entry) for make in columns.values()), *against])
    if not rows:
        return ""
    return markdown(["", "", *columns, *([] if base is None else [f"as fast as {base}"])], rows)


def _rate(field: str, unit: float) -> Callable[[Record], str]:
    return lambda entry: f"{entry[field] / unit:.3g}" if field in entry else ""


CALL: dict[str, Callable[[Record], str]] = {
    "a call": lambda entry: duration(entry["seconds"]),
    "an iteration": lambda entry: duration(entry.get("seconds_per_iteration")),
    "TB/s": _rate("bytes_per_second", 1e12),
    "TFLOP/s": _rate("flops_per_second", 1e12),
    "over the byte floor": lambda entry: _times(entry.get("times_byte_floor")),
    "peak memory": lambda entry: _memory(entry.get("peak_bytes")),
}
STEP = {name: make for name, make in CALL.items() if name != "a call"}
INVERSE = {name: make for name, make in CALL.items() if name != "an iteration"} | {
    "‖Ms − m‖ / ‖m‖": lambda entry: f"{entry['checks'][0]['value']:.0e}"
}
GRADIENT = {"a call": CALL["a call"]} | {
    f"peak memory, {name}": lambda entry, name=name: _memory(entry.get(f"{name}_peak_bytes")) for name in ("forward", "backward")
}


def _accuracy(record: Record) -> str:
    rows = []
    for _, case in _cases(record, "accuracy"):
        for name, entry in case["contenders"].items():
            if "accuracy" in entry:
                said = entry["accuracy"]
                numbers = [f"{said[f]:.1e}" for f in ("step_error", "convergence_apart_db", "log_spectral_apart_db")]
                same = ["yes" if said[field] else "no" for field in ("two_runs_equal", "alone_equal")]
                rows.append([case["setting"], name, *numbers, *same])
    if not rows:
        return ""
    head = ["", "", "a step, of the peak", "convergence, dB", "log spectrum, dB", "two runs equal", "alone as in a batch"]
    return "Distances from float64 on the same start, the last two after 100 iterations:\n\n" + markdown(head, rows)


def work(record: Record) -> str:
    """Bytes and operations of an iteration."""
    rows = [
        [case["title"], f"{case['work']['bytes'] / 1e6:.4g}", f"{case['work']['flops'] / 1e9:.4g}"]
        for kind in ("step", "mel", "entropic", "gradient") for key, case in _cases(record, kind) if "work" in case
    ]  # fmt: skip
    return f"{record['model']}\n\n" + markdown(["an iteration", "MB", "GFLOP"], rows) if rows else ""


def left_out(record: Record) -> str:
    """What has no time, and why."""
    lines = []
    for key, case in record["cases"].items():
        if "failed" in case:
            lines.append(f"- {key}: {case['failed']}")
        failed: dict[str, list[str]] = {}
        for name, entry in case.get("contenders", {}).items():
            if "failed" in entry:
                failed.setdefault(entry["failed"], []).append(name)
        lines += [f"- {key}, {'; '.join(names)}: {why}" for why, names in failed.items()]
    lines += [f"- {key}: skipped, time was over" for key in record["skipped"]]
    return "Without a time:\n\n" + "\n".join(lines) if lines else ""


def _each(render: Callable[[Record], list[str]]) -> str:
    pages = [[*filter(None, render(record)), f"{where(record)}."] for record in records()]
    return "\n\n".join(part for page in pages for part in page) + "\n" if pages else f"{NOTHING}\n"


def render_short(_: Any) -> str:
    """For the README: whole calls of the main setting, and the targets of speed."""

    def page(record: Record) -> list[str]:
        main = {**record, "cases": {key: case for key, case in record["cases"].items() if str(MAIN) in key}}
        return [_table(main, "call", "torchaudio", {"a call": CALL["a call"], "peak memory": CALL["peak memory"]})]

    return _each(page)


def render(_: Any) -> str:
    """Everything."""
    how = (
        "Medians of many blocks between two events, after a warm-up; inputs take turns, past the cache. A step is timed as a "
        "`graph` of one step for each set of inputs, which leaves no gaps between launches, and as plain calls; the iteration of "
        "a call is its share of the whole. Nothing has a time that was not within its tolerance of float64; the checks stand in "
        "the file."
    )
    return _each(lambda record: [
        targets(record), how,
        _table(record, "call", "torchaudio", CALL), _table(record, "step", "plain torch", STEP),
        _table(record, "mel", None, STEP), _table(record, "entropic", "torchaudio InverseMelScale", INVERSE),
        _table(record, "gradient", "torchaudio", GRADIENT), _accuracy(record), work(record), left_out(record),
    ])  # fmt: skip
