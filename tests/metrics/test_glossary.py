"""The glossary: labels differ, and each metric states its unit and its direction."""

from __future__ import annotations

from torchmelinv.metrics.glossary import METRICS, OPINION_METRICS


def test_labels_are_unique():
    labels = [metric.label for metric in METRICS.values()]
    assert len(set(labels)) == len(labels)


def test_units_are_those_of_the_names():
    for name, metric in METRICS.items():
        if name.endswith("_db"):
            assert metric.label.endswith(", dB")
        assert metric.digits >= 0


def test_opinion_scores_have_those_of_the_reference_beside_them():
    assert all(f"reference_{name}" in METRICS for name in OPINION_METRICS)
    assert all(METRICS[name].higher_is_better for name in OPINION_METRICS)
