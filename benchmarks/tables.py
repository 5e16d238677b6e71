"""`python -m benchmarks.tables`: the pages' tables of results, made from the files in `benchmarks/results`."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable

from benchmarks import corpus_table, gpu_table, quality_tables
from benchmarks.common import RESULTS, ROOT, Record, load, markdown, where
from torchmelinv.jobs.describe import preset_rows

PAGES = (ROOT / "README.md", ROOT / "benchmarks" / "README.md")
BLOCK = re.compile(r"(<!-- results:(\w+) -->\n).*?(<!-- /results -->)", re.DOTALL)

def _seconds(value: float) -> str:
    return f"{value:.1f} s" if value >= 10 else f"{value:.2f} s" if value >= 0.1 else f"{value * 1000:.0f} ms"


def _short(value: float) -> str:
    return f"{value:.1f}" if value >= 0.1 else f"{value:.2f}"


def render_cpu(record: Record) -> str:
    """Median times and the ratios between them."""
    rows = []
    for case in record["cases"]:
        for name, runs in case["seconds"].items():
            own = name == case["ours"]
            residual = case.get("residual", {}).get(name)
            rows.append([
                case["title"] if own else "",
                f"**{name}**" if own else name,
                _seconds(statistics.median(runs)),
                "" if own else f"{_short(case['times_faster'][name])} ×",
                "" if residual is None else f"{residual:.0e}",
            ])  # fmt: skip
    table = markdown(["case", "", "median time", "times ours", "‖Ms − m‖ / ‖m‖"], rows)
    others = max(case["rounds"]["others_share"] for case in record["cases"])
    how = f"Medians of {record['repeats']} alternating runs of at least half a second in one process, each warmed up"
    how = f"{how}, while others took at most {others:.0%} of the machine; the ratios are of this one run"
    return f"{table}\n\n{how}. What was checked before stands in `benchmarks/results/cpu.json`.\n{where(record)}.\n"


def render_gradient_cost(record: Record) -> str:
    """What a backward takes and remembers."""
    (case,) = record["cases"]
    rows = [
        [
            f"**{name}**" if name == case["ours"] else name,
            _seconds(statistics.median(runs)),
            "" if name == case["ours"] else f"{_short(case['times_faster'][name])} ×",
            f"{case['remembered_bytes'][name] / 2**20:.0f} MB",
        ]
        for name, runs in case["seconds"].items()
    ]
    table = markdown([case["title"], "median time", "times ours", "remembered"], rows)
    how = "Time as in the table of speeds; bytes that autograd keeps for the way back"
    return f"{table}\n\n{how}.\n{where(record)}.\n"


def _size(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.0f}" if value < 1e4 else f"{value:.0e}"


def render_gradient_norms(record: Record) -> str:
    """How large a gradient is, by way and number of iterations."""
    norms = record["norms"]
    rows = [[name, *map(_size, values)] for name, values in norms["ways"].items()]
    return markdown(["iterations", *map(str, norms["iterations"])], rows) + "\n"


def render_training(record: Record) -> str:
    """What a gradient through the inversion achieves: a mel recovered by each way back, and denoisers of mels."""
    recovered = [
        [f"`{each['gradient']}`", f"{each['before']:.2f}", f"{each['after']:.3f}", f"{each['before'] / each['after']:.1f} ×"]
        for each in record["recovery"]
    ]
    heads = {"lsd_40_db": "40 dB", "lsd_60_db": "60 dB", "log_mel_l1": "log-mel L1", "consistency_db": "consistency, dB"}
    names = {"mel": "mel loss", "mel_lowered": "mel loss, lowered by a constant", "waveform": "**then waveform loss**"}
    denoiser = record["denoiser"]
    denoised = [
        [names[kind], *(f"{statistics.mean(values[name]):.{3 if name == 'log_mel_l1' else 2}f}" for name in heads)]
        for kind, values in denoiser["scores"].items()
    ]
    how = f"Denoisers: {denoiser['steps']} steps, means of {len(denoiser['seeds'])} seeds and {denoiser['held']} signals held"
    how = f"{how}; the first two columns are log-spectral distances in dB, within 40 and 60 dB of the peak. Lower is better"
    return "\n\n".join([
        markdown(["a mel recovered from its sound, `gradient=`", "log-mel L1 before", "after", "falls"], recovered),
        markdown(["a denoiser of mels, taught by", *heads.values()], denoised),
        f"{how}.\n{where(record)}.\n",
    ])  # fmt: skip


def render_presets(_: Record) -> str:
    """The conventions that have a name."""
    head, *rows = preset_rows()
    return markdown(head, [[f"`{name}`", *rest] for name, *rest in rows]) + "\n"


# what stands in the marker: (the file of results, if it needs one; how it is rendered)
RENDERERS: dict[str, tuple[str, Callable[[Record], str]]] = {
    "cpu": ("cpu", render_cpu),
    "corpus": ("corpus", corpus_table.render),
    "gradient_cost": ("gradients", render_gradient_cost),
    "gradient_norms": ("gradients", render_gradient_norms),
    "training": ("training", render_training),
    "presets": ("", render_presets),
    "gpu": ("", gpu_table.render_short),  # files by the devices' names
    "gpu_all": ("", gpu_table.render),
    **{name: ("quality", render) for name, render in quality_tables.SECTIONS.items()},
}


def fill(page: str) -> str:
    """The page with everything between its markers rendered anew; where there is no file, nothing stands there."""

    def render(found: re.Match[str]) -> str:
        before, name, after = found.groups()
        suite, renderer = RENDERERS[name]
        if not suite:
            return before + renderer({}) + after
        return before + (renderer(load(suite)) if (RESULTS / f"{suite}.json").exists() else "") + after

    return BLOCK.sub(render, page)


def write_pages() -> None:
    """Bring the pages' tables to what the files say."""
    for page in PAGES:
        page.write_text(fill(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write_pages()
