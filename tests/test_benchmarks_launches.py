"""The benchmark of launches counts exactly, and its table has all that it counted."""

from __future__ import annotations

import torch

from benchmarks import launches, launches_table, records
from tests.pretended_device import pretended_device


def test_a_call_and_an_iteration_are_counted():
    with pretended_device() as device:
        x = torch.ones(3, device=device)
        counts = launches.count(lambda: (x + 1).sum().item())
        steps = launches.launches_of_an_iteration(lambda n_iter: [x * 2 for _ in range(n_iter)])
    assert (counts.launches, counts.waits.total(), steps) == (3, 1, 1.0)


def test_the_file_has_every_call_and_iteration():
    record = records.load("launches")
    with pretended_device() as device:
        assert list(record["calls"]) == list(launches.calls(device))
        assert list(record["iterations"]) == list(launches.iterations(device))
    text = launches_table.render(record)
    assert all(f"| {name} |" in text for name in (*record["calls"], *record["iterations"]))


def test_an_iteration_launches_less_than_that_of_torchaudio():
    """As the table of the page shows."""
    iterations = records.load("launches")["iterations"]
    assert iterations["fast_griffin_lim"] < iterations["torchaudio GriffinLim"]
