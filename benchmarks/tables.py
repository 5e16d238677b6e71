"""`python -m benchmarks.tables`: write the tables of the result pages from `benchmarks/results`."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable

from benchmarks import (
    corpus_table,
    gpu_doctor_table,
    gpu_table,
    launches_table,
    lws_table,
    predicted_table,
    quality_tables,
    sounds_table,
    training_table,
)
from benchmarks.markdown import background, duration, paragraph, provenance, table
from benchmarks.records import RESULTS, ROOT, Record, load
from torchmelinv.cli.presets import preset_rows
from torchmelinv.corpus import metric_info
from torchmelinv.metrics import METRICS

PAGES = tuple(
    ROOT / name for name in ("README.md", "benchmarks/README.md", "benchmarks/targets.md")
)
BLOCK = re.compile(r"(<!-- results:(\w+) -->\n).*?(<!-- /results -->)", re.DOTALL)
TIMED_SUITES = ("cpu", "corpus", "gradients")


def _ratio(value: float) -> str:
    return f"{value:.1f} ×" if value >= 0.1 else f"{value:.2f} ×"


def render_cpu(record: Record) -> str:
    """Return median times, and their ratios to the first line of each case."""
    lines = []
    for case in record["cases"]:
        for name, runs in case["seconds"].items():
            is_ours = name == case["ours"]
            residual = case.get("residual", {}).get(name)
            lines.append(
                [
                    case["title"] if is_ours else "",
                    f"**{name}**" if is_ours else name,
                    duration(statistics.median(runs)),
                    "" if is_ours else _ratio(case["times_faster"][name]),
                    "" if residual is None else f"{residual:.0e}",
                ]
            )
    head = ["case", "", "median time", "relative", "‖Ms − m‖ / ‖m‖"]
    explanation = (
        f"Medians of {record['repeats']} alternating runs of at least half a second each, after a "
        f"warm-up, in one process. {background(record)} The ratios are those of this run. The "
        f"checks are in `benchmarks/results/cpu.json`. {provenance(record)}."
    )
    return f"{table(head, lines, text=(0, 1))}\n\n{paragraph(explanation)}\n"


def render_gradient_cost(record: Record) -> str:
    """Return time and memory of a forward and backward pass."""
    (case,) = record["cases"]
    lines = []
    for name, runs in case["seconds"].items():
        is_ours = name == case["ours"]
        lines.append(
            [
                f"**{name}**" if is_ours else name,
                duration(statistics.median(runs)),
                "" if is_ours else _ratio(case["times_faster"][name]),
                f"{case['saved_bytes'][name] / 2**20:.0f} MB",
            ]
        )
    head = [case["title"], "median time", "relative", "saved for backward"]
    explanation = (
        "Times are measured as in the table of CPU speed; the last column counts the bytes that "
        f"autograd saves for backward. {provenance(record)}."
    )
    return f"{table(head, lines)}\n\n{paragraph(explanation)}\n"


def _norm(value: float) -> str:
    if value < 10:
        return f"{value:.2f}"
    return f"{value:.0f}" if value < 1e4 else f"{value:.0e}"


def render_gradient_norms(record: Record) -> str:
    """Return the norm of the gradient by method and number of iterations."""
    norms = record["norms"]
    lines = [[name, *map(_norm, values)] for name, values in norms["methods"].items()]
    return table(["iterations", *map(str, norms["iterations"])], lines) + "\n"


def render_speed_targets(_: Record) -> str:
    """Return the speed targets of the suites that time on the CPU."""
    lines = []
    for case in [case for suite in TIMED_SUITES for case in load(suite)["cases"]]:
        for name, target in case["targets"].items():
            speed = case["times_faster"][name]
            verdict = "reached" if speed >= target else "**not reached**"
            what = f"{case['title']}: speed of {case['ours']} relative to {name}"
            lines.append([what, f"{speed:.2f}", f"≥ {target:.3g}", verdict])
    return table(["", "measured", "target", ""], lines) + "\n"


def render_presets(_: Record) -> str:
    """Return the presets."""
    head, *lines = preset_rows()
    return table(head, [[f"`{name}`", *rest] for name, *rest in lines], text=(0, 5, 6)) + "\n"


def render_glossary(_: Record) -> str:
    """Return the metrics of `torchmelinv evaluate`."""
    metrics = [metric_info(name) for name in METRICS if not name.startswith("reference_")]
    lines = [[f"{each.heading}, `{each.name}`", each.description] for each in metrics]
    return table(["metric", "what it measures, and what a good number is"], lines) + "\n"


# name in the marker: (suite of the result file, if it needs one; function)
RENDERERS: dict[str, tuple[str, Callable[[Record], str]]] = {
    "cpu": ("cpu", render_cpu),
    "corpus": ("corpus", corpus_table.render),
    "gradient_cost": ("gradients", render_gradient_cost),
    "gradient_norms": ("gradients", render_gradient_norms),
    "launches": ("launches", launches_table.render),
    "lws": ("lws", lws_table.render),
    **predicted_table.SECTIONS,
    "sounds": ("sounds", sounds_table.render),
    "sounds_targets": ("sounds", sounds_table.render_targets),
    "training": ("training", training_table.render),
    "speed_targets": ("", render_speed_targets),
    "presets": ("", render_presets),
    "glossary": ("", render_glossary),
    "gpu": ("", gpu_table.render_short),  # its files are named after devices
    "gpu_all": ("", gpu_table.render),
    "gpu_targets": ("", gpu_table.render_targets),
    "doctor": ("", gpu_doctor_table.render),
    **{name: ("quality", render) for name, render in quality_tables.SECTIONS.items()},
}


def render(name: str) -> str:
    """Return the Markdown of a table, or an empty string if its result file is missing."""
    suite, renderer = RENDERERS[name]
    if not suite:
        return renderer({})
    return renderer(load(suite)) if (RESULTS / f"{suite}.json").exists() else ""


def fill(page: str) -> str:
    """Return a page with new text between its markers, or none where there is no result file."""
    return BLOCK.sub(lambda match: match[1] + render(match[2]) + match[3], page)


def write_pages() -> None:
    """Write the tables of all pages."""
    for page in PAGES:
        page.write_text(fill(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write_pages()
