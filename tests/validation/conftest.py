"""The metrics on both base classes."""

from __future__ import annotations

import sys

import pytest

from tests.validation.batches import reloaded
from torchmelinv import validation


@pytest.fixture(params=["torchmetrics", "own base"])
def module(request, monkeypatch):
    """Return the module as it is with and without torchmetrics."""
    if request.param == "torchmetrics":
        pytest.importorskip("torchmetrics")
        yield validation
        return
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    yield reloaded()
    monkeypatch.undo()
    reloaded()
