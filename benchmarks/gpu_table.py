"""The tables of `benchmarks/results/gpu-*.json`, one file for each device; without a file a sentence that says so."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from benchmarks import gpu_targets
from benchmarks.common import RESULTS, Record, load, markdown
from benchmarks.gpu_inputs import MAIN

NOTHING = "Nothing has been measured on a GPU yet: `make bench-gpu`, on a machine with a CUDA device, fills this in."
HOW = (
    "Signals of 10 s. Medians of many blocks between two events, after a warm-up; inputs take turns, past the cache. `kernels` "
    "are the public functions as they come; a `graph` is one of each call, or of a step for each set of inputs, which leaves no "
    "gaps between launches; the iteration of a call is its share of the whole. Nothing has a time that was not within its "
    "tolerance of float64; the checks stand in the file."
)
Columns = dict[str, Callable[[Record], str]]


def where(record: Record) -> str:
    """Dates, device and versions."""
    device, versions = record["device"], record["versions"]
    packages = ", ".join(f"{name} {versions[name]}" for name in ("torch", "torchaudio") if name in versions)
    dates = sorted({case.get("date", record["date"]) for case in record["cases"].values()} | {record["date"]})
    copy = f"{device['copy_bytes_per_second'] / 1e12:.2f} TB/s in a large copy"
    made = f"{device['name']} ({copy}), CUDA {device['cuda']}, {packages}, Python {versions['python']}"
    return f"{' and '.join(dates)}, {made}"


def duration(seconds: float) -> str:
    """In ms or µs."""
    if seconds < 0.9995e-3:
        return f"{seconds * 1e6:.3g} µs"
    return f"{seconds * 1e3:.3g} ms" if seconds < 0.9995 else f"{seconds:.3g} s"


def times(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g} ×" if value < 999.5 else f"{value:.0f} ×"


def memory(value: float) -> str:
    return f"{value / 2**20:.0f} MB" if value >= 2**20 else f"{value / 2**20:.2f} MB"


def _field(field: str, render: Callable[[float], str]) -> Callable[[Record], str]:
    return lambda entry: "" if entry.get(field) is None else render(entry[field])


A_CALL: Columns = {"a call": _field("seconds", duration)}
PEAK: Columns = {"peak memory": _field("peak_bytes", memory)}
STEP: Columns = {
    "an iteration": _field("seconds_per_iteration", duration),
    "floor's bytes over time, TB/s": _field("floor_bytes_per_second", lambda value: f"{value / 1e12:.3g}"),
    "TFLOP/s": _field("flops_per_second", lambda value: f"{value / 1e12:.3g}"),
    "over the byte floor": _field("times_byte_floor", times),
}
RESIDUAL: Columns = {"‖Ms − m‖ / ‖m‖": lambda entry: f"{entry['checks'][0]['value']:.0e}"}
MEL_ERROR: Columns = {"mel error, dB": lambda entry: f"{entry['checks'][0]['value']:.1f}"}
# kind of case: (who the others are compared with, columns)
TABLES: dict[str, tuple[str | None, Columns]] = {
    "call": ("torchaudio", A_CALL | STEP | PEAK),
    "step": ("plain torch", STEP | PEAK),
    "mel": ("plain torch", STEP | PEAK),
    "entropic": ("torchaudio InverseMelScale", A_CALL | STEP | PEAK | RESIDUAL),
    "waveform": ("torchaudio", A_CALL | PEAK | MEL_ERROR),
    "start": (None, A_CALL | PEAK),
    "gradient": ("torchaudio", A_CALL | {
        f"peak memory, {part}": _field(f"{part}_peak_bytes", memory) for part in ("forward", "backward")
    }),
}  # fmt: skip


def targets(record: Record) -> str:
    """Reached, missed, or not measured."""
    rows = []
    for row in gpu_targets.verdict(record):
        value = "not measured" if row.value is None else f"{row.value:.3g}" + (" ×" if row.wanted.endswith("×") else "")
        verdict = "reached" if row.reached else "" if row.value is None else "**missed**"
        rows.append([row.what, f"`{row.by}`" if row.by else "", value, row.wanted, verdict])
    return markdown(["", "by", "measured", "wanted", ""], rows)


def _cases(record: Record, kind: str) -> list[tuple[str, Record]]:
    return [(key, case) for key, case in record["cases"].items() if key.startswith(f"{kind} ") and case.get("contenders")]


def table(record: Record, kind: str, columns: Columns | None = None, only: str = "") -> str:
    """All cases of a kind, a row for each contender that has a time, and how many times as fast it is as the peer."""
    base, usual = TABLES[kind]
    columns, rows = columns or usual, []
    for key, case in _cases(record, kind):
        timed = {name: entry for name, entry in case["contenders"].items() if "seconds" in entry and only in key}
        for number, (name, entry) in enumerate(timed.items()):
            peer = timed.get(base or "", {}).get("seconds", math.nan)
            against = [times(peer / entry["seconds"])] if base else []
            label = f"**{name}**" if "kernels" in name else name
            rows.append(["" if number else case["title"], label, *(make(entry) for make in columns.values()), *against])
    return markdown(["", "", *columns, *([f"as fast as {base}"] if base else [])], rows) if rows else ""


def accuracy(record: Record) -> str:
    rows = []
    for _, case in _cases(record, "accuracy"):
        for name, entry in case["contenders"].items():
            if said := entry.get("accuracy"):
                numbers = [f"{said[f]:.1e}" for f in ("step_error", "convergence_apart_db", "log_spectral_apart_db")]
                same = ["yes" if said[field] else "no" for field in ("two_runs_equal", "alone_equal")]
                rows.append([case["setting"], name, *numbers, *same])
    head = ["", "", "a step, of the peak", "convergence, dB", "log spectrum, dB", "two runs equal", "alone as in a batch"]
    what = "Distances from float64 on the same start, the last two after 100 iterations:\n\n"
    return what + markdown(head, rows) if rows else ""


def work(record: Record) -> str:
    """Bytes and operations of an iteration."""
    cases = [case for kind in ("step", "mel", "entropic", "gradient") for _, case in _cases(record, kind) if "work" in case]
    rows = [[case["title"], f"{case['work']['bytes'] / 1e6:.4g}", f"{case['work']['flops'] / 1e9:.4g}"] for case in cases]
    return f"{record['model']}\n\n" + markdown(["an iteration", "MB", "GFLOP"], rows) if rows else ""


def left_out(record: Record) -> str:
    """What has no time, and why."""
    lines = []
    for key, case in record["cases"].items():
        why: dict[str, list[str]] = {case["failed"]: []} if "failed" in case else {}
        for name, entry in case.get("contenders", {}).items():
            if "failed" in entry:
                why.setdefault(entry["failed"], []).append(name)
        lines += [f"- {', '.join([key, *filter(None, ['; '.join(names)])])}: {reason}" for reason, names in why.items()]
    return "Without a time:\n\n" + "\n".join(lines) if lines else ""


def _each(render: Callable[[Record], list[str]]) -> str:
    records = [load(path.stem) for path in sorted(RESULTS.glob("gpu-*.json"))]
    pages = [[*filter(None, render(record)), f"{where(record)}."] for record in records]
    return "\n\n".join(part for page in pages for part in page) + "\n" if pages else f"{NOTHING}\n"


def render_short(_: Any) -> str:
    """For the README: whole calls."""
    short = A_CALL | PEAK
    return _each(lambda record: [table(record, "call", short, str(MAIN)), table(record, "waveform")])


def render(_: Any) -> str:
    """Everything."""
    return _each(lambda record: [
        targets(record), HOW, *(table(record, kind) for kind in TABLES), accuracy(record), work(record), left_out(record),
    ])  # fmt: skip
