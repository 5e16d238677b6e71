"""The table of `benchmarks/results/corpus.json`."""

from __future__ import annotations

import statistics

from benchmarks.markdown import background, paragraph, provenance, table
from benchmarks.records import Record


def render(record: Record) -> str:
    """Return seconds of audio per second, and ratios of speeds."""
    lines = []
    for case in record["cases"]:
        for name, runs in case["seconds"].items():
            speed = f"{record['audio_seconds'] / statistics.median(runs):.0f}"
            if name == case["ours"]:
                ((other, ratio),) = case["times_faster"].items()
                lines.append([f"**{name}**", speed, f"{ratio:.2f} × {other}"])
            else:
                lines.append([name, speed, ""])
    seconds, convention = record["audio_seconds"], record["convention"]
    title = f"{record['files']} files, {seconds:.0f} s of speech, `{convention}`"
    compute = record["cases"][0]["compute_thread_seconds"]
    share = compute["invert_files"] / compute["MelInverter"]
    explanation = (
        f"Medians of {record['repeats']} alternating runs, one thread per process. "
        f"{background(record)} The computing thread of `invert_files` uses {share:.2f} times the "
        "processor time of `MelInverter`. All output files are identical, byte for byte. "
        f"{provenance(record)}."
    )
    head = [title, "seconds of audio per second", "relative speed"]
    return f"{table(head, lines)}\n\n{paragraph(explanation)}\n"
