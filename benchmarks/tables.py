"""`python -m benchmarks.tables`: README.md's tables of results, made from the files in `benchmarks/results`."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterable, Sequence

import torchmelinv as tmi
from benchmarks.common import RESULTS, ROOT, Record, load, means

README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- results:(\w+) -->\n).*?(<!-- /results -->)", re.DOTALL)

# key of the file: (head of the column, how a number is written)
METRICS: dict[str, tuple[str, str]] = {
    "pesq_wb": ("PESQ-WB", "{:.2f}"),
    "estoi": ("ESTOI", "{:.3f}"),
    "mel_error_db": ("mel error, dB", "{:.1f}"),
    "log_mel_l1": ("log-mel L1", "{:.3f}"),
    "spectral_convergence_db": ("spectral convergence, dB", "{:.1f}"),
    "seconds": ("seconds", "{:.2f}"),
}


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _where(record: Record) -> str:
    machine, versions = record["machine"], record["versions"]
    packages = ", ".join(f"{name} {versions[name]}" for name in ("torch", "torchaudio", "librosa"))
    threads = f"{machine['threads']} of {machine['cores']} cores"
    return f"{record['date']}, {machine['cpu']} ({threads}), {packages}, Python {versions['python']}"


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
    table = _table(["case", "", "median time", "times ours", "‖Ms − m‖ / ‖m‖"], rows)
    others = max(case["rounds"]["others_share"] for case in record["cases"])
    how = f"Medians of {record['repeats']} alternating runs of at least half a second in one process, each warmed up"
    how = f"{how}, while others took at most {others:.0%} of the machine; the ratios are of this one run"
    return f"{table}\n\n{how}. What was checked before stands in `benchmarks/results/cpu.json`.\n{_where(record)}.\n"


def _scores(clips: list[Record], labels: dict[str, str]) -> str:
    rows = [[labels.get(name, f"`{name}`"), *_numbers(clips, name, METRICS)] for name in clips[0]["scores"]]
    return _table(["", *(head for head, _ in METRICS.values())], rows)


def _numbers(clips: list[Record], name: str, metrics: Iterable[str]) -> list[str]:
    mean = means(clips, name) if name in clips[0]["scores"] else {}
    return [METRICS[metric][1].format(mean[metric]) if mean else "absent" for metric in metrics]


def _distances(conventions: Record, labels: dict[str, str]) -> str:
    """One table for all conventions, two columns each."""
    metrics = ("mel_error_db", "spectral_convergence_db")
    head = ["", *(f"{METRICS[metric][0]}, `{name}`" for name in conventions for metric in metrics)]
    names = dict.fromkeys(name for entry in conventions.values() for name in entry["music"][0]["scores"])
    columns = [entry["music"] for entry in conventions.values()]
    rows = [[text for clips in columns for text in _numbers(clips, name, metrics)] for name in names]
    return _table(head, [[labels.get(name, f"`{name}`"), *row] for name, row in zip(names, rows, strict=True)])


def _convention(name: str) -> str:
    convention = tmi.preset(name)
    kind = "magnitude" if convention.power == 1 else "power"
    return f"`{name}` ({convention.n_mels} {kind} mels, {convention.n_fft}/{convention.hop_length})"


def render_quality(record: Record) -> str:
    """Means over the clips for each convention, speech first and then music."""
    versions = record["versions"]
    labels = {
        "torchmelinv": "**torchmelinv** (`entropic`)",
        "librosa": f"librosa {versions['librosa']}",
        "torchaudio": f"torchaudio {versions['torchaudio']}",
        "true magnitude": "the true magnitude",
    }
    parts = []
    for name, entry in record["conventions"].items():
        parts += [f"{_convention(name)}, {len(entry['speech'])} clips of speech:", _scores(entry["speech"], labels)]
        parts += [f"{peer} is absent: {why}" for peer, why in entry["absent"].items()]
    if any(entry["music"] for entry in record["conventions"].values()):
        count = max(len(entry["music"]) for entry in record["conventions"].values())
        parts += [f"{count} clips of music and percussion:", _distances(record["conventions"], labels)]
    seconds, n_iter = record["clip_seconds"], record["n_iter"]
    parts.append(
        f"Means over the clips, of the times medians: the first {seconds:g} s of each, {n_iter} iterations of fast Griffin-Lim "
        "from a random start. Rows in code font are other `magnitude=` of torchmelinv. Higher is better for PESQ and ESTOI, "
        f"lower for the others. From one run; `benchmarks/results/quality.json` has every clip.\n{_where(record)}."
    )
    return "\n\n".join(parts) + "\n"


RENDERERS: dict[str, Callable[[Record], str]] = {"cpu": render_cpu, "quality": render_quality}


def fill(page: str) -> str:
    """The page with everything between its markers rendered anew; where there is no file, nothing stands there."""

    def render(found: re.Match[str]) -> str:
        before, suite, after = found.groups()
        return before + (RENDERERS[suite](load(suite)) if (RESULTS / f"{suite}.json").exists() else "") + after

    return BLOCK.sub(render, page)


def write_readme() -> None:
    """Bring README.md's tables to what the files say."""
    README.write_text(fill(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    write_readme()
