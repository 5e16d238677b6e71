"""The tables of `benchmarks/results/launches.json`."""

from __future__ import annotations

from benchmarks.markdown import paragraph, provenance, table
from benchmarks.records import Record


def render(record: Record) -> str:
    """Return the launches and waits of calls, and the launches of one iteration."""
    calls = [
        [name, f"{counts['launches']:,}", str(counts["waits"])]
        for name, counts in record["calls"].items()
    ]
    iterations = [[name, f"{launches:.1f}"] for name, launches in record["iterations"].items()]
    explanation = (
        "One item of 10 s, or a batch, with 32 iterations. Counted on a pretended device "
        "(`tests/pretended_device.py`): each operation that is neither a view nor an allocation "
        "is a launch, also if a library runs it as several kernels. The host waits to read a value "
        "or the size of a result, and to copy. What is done once, such as making tables, does not "
        f"count. {provenance(record)}."
    )
    return (
        f"{table(['call', 'launches', 'waits'], calls)}\n\n"
        f"{table(['one iteration', 'launches'], iterations)}\n\n{paragraph(explanation)}\n"
    )
