"""The base class of the metrics: a mean over items, batches and processes.

It is a `torchmetrics.Metric` where torchmetrics is installed.
"""

from __future__ import annotations

import importlib
import math
from typing import Any

import torch
from torch import Tensor, nn

from torchmelinv.metrics.distance import LARGEST_DB
from torchmelinv.metrics.glossary import METRICS


class _SumOverProcesses(nn.Module):
    """What this module uses of `torchmetrics.Metric`, for where torchmetrics is missing."""

    def add_state(self, name: str, default: Tensor, dist_reduce_fx: str) -> None:
        """Add a tensor that is summed over processes."""
        assert dist_reduce_fx == "sum"
        self.register_buffer(name, default, persistent=False)

    def reset(self) -> None:
        """Forget all items."""
        for state in self.buffers(recurse=False):
            state.zero_()

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Update with a batch, and return the mean of this batch in this process."""
        before = [state.clone() for state in self.buffers(recurse=False)]
        self.update(*args, **kwargs)
        states = list(self.buffers(recurse=False))
        total, n_items = (now - old for now, old in zip(states, before, strict=True))
        return total / n_items

    def compute(self) -> Tensor:
        """Return the mean over all items of all processes."""
        total, n_items = (state.clone() for state in self.buffers(recurse=False))
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            for state in (total, n_items):
                torch.distributed.all_reduce(state)
        return total / n_items

    def update(self, estimate: Tensor, reference: Tensor, *, lengths: Tensor | None = None) -> None:
        """Add a batch."""
        raise NotImplementedError


def _base() -> Any:
    """Return `torchmetrics.Metric`, or its substitute where torchmetrics is missing."""
    try:
        return importlib.import_module("torchmetrics").Metric
    except (ImportError, OSError):
        return _SumOverProcesses


_Base: Any = _base()


class ItemMean(_Base):  # type: ignore[misc]
    """The mean of a metric over items, in plain sums, which every reduction adds up."""

    name: str  # in METRICS
    total: Tensor
    n_items: Tensor
    full_state_update = False
    is_differentiable = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.add_state("total", default=torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("n_items", default=torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    @property
    def higher_is_better(self) -> bool | None:
        """Whether higher values are better."""
        return METRICS[self.name].higher_is_better

    @torch.no_grad()
    def update(self, estimate: Tensor, reference: Tensor, *, lengths: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            estimate: Estimates, of any leading dimensions.
            reference: References of the same shape.
            lengths: Frames (of waveforms samples) of each item of a padded batch.
        """
        values = self._values(estimate.detach(), reference.detach(), lengths)
        largest = LARGEST_DB if self.name.endswith("_db") else math.inf  # of a silent reference
        counts = values.isfinite() & (values < largest)
        self.total = self.total + torch.where(counts, values, 0).sum().to(self.total)
        self.n_items = self.n_items + counts.sum().to(self.n_items)

    def compute(self) -> Tensor:
        """Compute the mean over all items since the last `reset`.

        Returns:
            The mean, (); NaN without items.
        """
        if _Base is _SumOverProcesses:
            return super().compute()
        return self.total / self.n_items

    def _values(self, estimate: Tensor, reference: Tensor, lengths: Tensor | None) -> Tensor:
        """Return the value of each item."""
        raise NotImplementedError
