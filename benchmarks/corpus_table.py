"""The table of `benchmarks/results/corpus.json`."""

from __future__ import annotations

import statistics

from benchmarks.common import Record, markdown, where


def render(record: Record) -> str:
    """Seconds of audio a second, and how many times the speed of the other way."""
    rows = []
    for case in record["cases"]:
        for name, runs in case["seconds"].items():
            own = name == case["ours"]
            speed = f"{record['audio_seconds'] / statistics.median(runs):.0f}"
            times = [f"{found:.2f} × {other}" for other, found in case["times_faster"].items()] if own else [""]
            wanted = [f"≥ {limit:g}" for limit in case["at_least"].values()] if own else [""]
            rows.append([f"**{name}**" if own else name, speed, *times, *wanted])
    table = markdown([f"{record['files']} files, {record['audio_seconds']:.0f} s of speech, `{record['convention']}`",
                      "seconds of audio a second", "speed", "wanted"], rows)
    computing = record["cases"][0]["computing_thread_seconds"]
    share = computing["the job"] / computing["the bare inverter"]
    others = max(case["rounds"]["others_share"] for case in record["cases"])
    how = f"Medians of {record['repeats']} alternating runs, each process with one thread"
    how = f"{how}, while others took at most {others:.0%} of the machine"
    more = f"In processor time the job's computing thread takes {share:.2f} times what the bare inverter does"
    return f"{table}\n\n{how}. {more}. Every file is byte for byte the same in all of them.\n{where(record)}.\n"
