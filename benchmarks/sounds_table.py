"""The tables of `benchmarks/results/sounds.json`: clean and degraded mels, all methods, targets."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.markdown import paragraph, provenance, table
from benchmarks.records import Record
from benchmarks.rows import parse_row
from benchmarks.sounds_material import SOUNDS
from benchmarks.sounds_methods import CONVENTION, MEASURES, N_ITER, SECONDS
from torchmelinv.metrics import SOUND_METRICS

LABELS = {
    "default": "**default**",
    "time_structure": "`time_structure=1`",
    "random": '`init="random"`',
    "cascade": '`phase="fast_griffin_lim"`',
    "stream": "`StreamingInverter`",
}


def render(record: Record) -> str:
    """Return the tables of the result page."""
    conventions = dict.fromkeys(
        each for by_convention in record["results"].values() for each in by_convention
    )
    explanation = (
        "Each value is the difference from the original sound: closer to 0 is better. Of several "
        "conventions, the one that deviates most is shown. A flat mel is the mean of a mel over "
        "time; blurred mels are filtered by a Gaussian of 0.7 or 1.5 bands and frames. "
        f"Conventions: {', '.join(f'`{each}`' for each in conventions)}. The first "
        f"{record['seconds']:g} s of each sound. {provenance(record)}."
    )
    all_methods = (
        f"Every method and initial phase, `{CONVENTION}`, {N_ITER} iterations, clean mels, the "
        f"first {SECONDS:g} s of each sound:"
    )
    tables = _clean(record), _degraded(record), paragraph(all_methods), _all_methods(record)
    return "\n\n".join((paragraph(explanation), *tables)) + "\n"


def _format(measure: str, value: float) -> str:
    return f"{value:+.{SOUND_METRICS[measure].digits}f}"


def _cells(measure: str, methods: Sequence[str], scored: Sequence[Record]) -> list[str]:
    """Return the value of each method that deviates most from 0; empty where it was not run."""
    cells = []
    for method in methods:
        values = [scores[method][measure] for scores in scored if method in scores]
        cells.append(_format(measure, max(values, key=abs)) if values else "")
    return cells


def _head(record: Record, *first: str) -> list[str]:
    return [*first, *(LABELS.get(name, name) for name in record["methods"])]


def _clean(record: Record) -> str:
    lines = []
    for name, by_convention in record["results"].items():
        sound = SOUNDS[name]
        for mel in sound.mels:
            scored = [mels[mel] for mels in by_convention.values()]
            title = sound.label if mel == "clean" else f"{sound.label}, {mel} mel"
            for measure in sound.measures:
                cells = _cells(measure, record["methods"], scored)
                lines.append([title, SOUND_METRICS[measure].label, *cells])
                title = ""
    return table(_head(record, "clean mels of", ""), lines)


def _degraded(record: Record) -> str:
    """Return the measures of whistles, which blurred mels make worse."""
    lines = []
    for name, by_convention in record["results"].items():
        for mel in SOUNDS[name].degraded:
            scored = [mels[mel] for mels in by_convention.values() if mel in mels]
            title = f"{SOUNDS[name].label}, {mel}"
            for measure in ("upper_edge_db", "tonal_line_db"):
                cells = _cells(measure, record["methods"], scored)
                lines.append([title, SOUND_METRICS[measure].label, *cells])
                title = ""
    return table(_head(record, "degraded mels of", ""), lines)


def _all_methods(record: Record) -> str:
    """Return the sounds as columns and every method and initial phase as a line."""
    columns = [(name, measure) for name, measures in MEASURES.items() for measure in measures]
    labels = (f"{SOUNDS[name].label}: {SOUND_METRICS[each].label}" for name, each in columns)
    lines = []
    for key in record["all_methods"][columns[0][0]]:
        row = parse_row(key)
        values = (record["all_methods"][name][key][each] for name, each in columns)
        cells = [_format(each, value) for (_, each), value in zip(columns, values, strict=True)]
        lines.append([f"`{row.method}`", row.init, *cells])
    return table(["method", "init", *labels], lines)


def render_targets(record: Record) -> str:
    """Return the targets, of each kind for the convention that is furthest above or least below."""
    worst: dict[str, Record] = {}
    for entry in record["checks"]:
        kind = entry["what"].rsplit(" (", 1)[0]
        excess = entry["value"] - entry["bound"]
        if kind not in worst or excess > worst[kind]["value"] - worst[kind]["bound"]:
            worst[kind] = entry
    lines = []
    for entry in worst.values():
        verdict = "reached" if entry["reached"] else "**not reached**"
        lines.append([entry["what"], f"{entry['value']:.2f}", f"≤ {entry['bound']:.2f}", verdict])
    return table(["worst of all conventions", "measured", "target", ""], lines) + "\n"
