"""The table of local weighted sums against the package of the paper's authors."""

from __future__ import annotations

import statistics

from benchmarks.markdown import paragraph, provenance, table
from benchmarks.records import Record

SECONDS = 2  # of each clip
N_FFT, HOP_LENGTHS, ITERATIONS = 1024, (256, 512), (32, 100)


def mean(record: Record, hop_length: int, name: str, n_iter: int) -> float:
    """Return the mean over the clips in dB."""
    return statistics.mean(record["results"][str(hop_length)][name][str(n_iter)])


def render(record: Record) -> str:
    """Return the table of the result page."""
    columns = [(n_iter, hop_length) for hop_length in HOP_LENGTHS for n_iter in ITERATIONS]
    head = ["spectral convergence, dB"] + [f"{n} iterations, hop {hop}" for n, hop in columns]
    rows = [
        [name, *(f"{mean(record, hop, name, n):.1f}" for n, hop in columns)]
        for name in record["results"][str(HOP_LENGTHS[0])]
        if name != "RTISI-LA"
    ]
    alone = " and ".join(f"{mean(record, hop, 'RTISI-LA', 10):.1f}" for hop in HOP_LENGTHS)
    text = (
        f"True magnitude, {N_FFT}-sample Hann frames, silence around the signal: means over the "
        f"first {SECONDS} s of {len(record['clips'])} clips, three of speech and five of music and "
        "percussion. "
        f"The package is lws {record['package']}, with the same magnitudes; iterations of RTISI-LA "
        "count toward the total of `rtisi_iter=10`, and not toward that of the package. Ten "
        f"iterations of RTISI-LA alone: {alone} dB. {provenance(record)}."
    )
    return f"{table(head, rows)}\n\n{paragraph(text)}\n"
