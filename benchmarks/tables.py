"""`python -m benchmarks.tables`: README.md's tables of results, made from the files in `benchmarks/results`."""

from __future__ import annotations

import re
import statistics
import sys
from collections.abc import Callable, Sequence

import torchmelinv as tmi
from benchmarks.common import ROOT, Record, load, means

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
                "" if own else f"{case['times_faster'][name]:.1f} ×",
                "" if residual is None else f"{residual:.0e}",
            ])  # fmt: skip
    table = _table(["case", "", "median time", "over ours", "‖Ms − m‖ / ‖m‖"], rows)
    how = f"Medians of {record['repeats']} alternating runs in one process; the ratios are of this one run"
    return f"{table}\n\n{how}. What was checked before stands in `benchmarks/results/cpu.json`.\n{_where(record)}.\n"


def _scores(clips: list[Record], labels: dict[str, str], metrics: Sequence[str]) -> str:
    rows = []
    for name in clips[0]["scores"]:
        mean = means(clips, name)
        rows.append([labels.get(name, f"`{name}`"), *(METRICS[metric][1].format(mean[metric]) for metric in metrics)])
    return _table(["", *(METRICS[metric][0] for metric in metrics)], rows)


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
    for kind, metrics in (("speech", list(METRICS)), ("music", ["mel_error_db", "spectral_convergence_db"])):
        for name, entry in record["conventions"].items():
            clips = entry[kind]
            if not clips:
                continue
            what = "speech" if kind == "speech" else "music and percussion"
            parts.append(f"{_convention(name)}, {len(clips)} clips of {what}:")
            parts.append(_scores(clips, labels, metrics))
            parts += [f"{peer} is absent: {why}" for peer, why in entry["absent"].items()]
    seconds, n_iter = record["clip_seconds"], record["n_iter"]
    parts.append(
        f"Means over the clips, the first {seconds:g} s of each: {n_iter} iterations of fast Griffin-Lim from a random start. "
        "Rows in code font are other `magnitude=` of torchmelinv. PESQ and ESTOI: higher is better; the others: lower. "
        f"From one run; `benchmarks/results/quality.json` has every clip.\n{_where(record)}."
    )
    return "\n\n".join(parts) + "\n"


RENDERERS: dict[str, Callable[[Record], str]] = {"cpu": render_cpu, "quality": render_quality}


def fill(page: str) -> str:
    """The page with everything between its markers rendered anew."""
    return BLOCK.sub(lambda found: found[1] + RENDERERS[found[2]](load(found[2])) + found[3], page)


def write_readme() -> None:
    """Bring README.md's tables to what the files say."""
    README.write_text(fill(README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(write_readme())
