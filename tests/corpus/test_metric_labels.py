"""Every metric has a label, and a description of what is good."""

from __future__ import annotations

import pytest

from torchmelinv.corpus.metric_labels import metric_info
from torchmelinv.metrics import METRICS


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_says_what_is_good(name):
    info = metric_info(name)
    assert len(info.description) > 40
    assert info.description.endswith(".")
    assert info.heading.startswith(METRICS[name].label)
