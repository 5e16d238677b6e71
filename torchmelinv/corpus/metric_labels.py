"""How metrics are labeled and read: label, unit, direction, and what a good number is."""

from __future__ import annotations

import dataclasses

from torchmelinv.metrics.glossary import METRICS

__all__ = ["MetricInfo", "metric_info"]


@dataclasses.dataclass(frozen=True)
class MetricInfo:
    """How a metric is labeled and read.

    Args:
        name: Name of the metric, a key of `metrics.METRICS`.
        label: Name for tables and figures, without its unit.
        unit: Unit, such as ``"dB"``; empty for a plain number.
        higher_is_better: Whether higher values are better; None if 0 is best.
        description: What is measured, and what a good number is.
        decimals: Digits after the decimal point to show.

    Example:
        >>> from torchmelinv.corpus import metric_info
        >>> metric_info("mel_error_db").label, metric_info("mel_error_db").unit
        ('mel error', 'dB')
    """

    name: str
    label: str
    unit: str
    higher_is_better: bool | None
    description: str
    decimals: int

    @property
    def heading(self) -> str:
        """Label with the unit, and an arrow that points to better values."""
        arrow = {True: " ↑", False: " ↓", None: " → 0"}[self.higher_is_better]
        return f"{self.label}, {self.unit}{arrow}" if self.unit else f"{self.label}{arrow}"


def metric_info(name: str) -> MetricInfo:
    """Return how a metric is labeled and read.

    Args:
        name: Name of the metric, a key of `metrics.METRICS`.

    Returns:
        Its label, unit, direction and description.

    Example:
        >>> from torchmelinv.corpus import metric_info
        >>> metric_info("estoi").higher_is_better
        True
    """
    metric = METRICS[name]
    label, _, unit = metric.label.partition(", ")
    return MetricInfo(name, label, unit, metric.higher_is_better, metric.description, metric.digits)
