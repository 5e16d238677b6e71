"""`torchmelinv inspect` through `main`."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from tests.tiny import console, workplace  # noqa: F401

pytestmark = pytest.mark.usefixtures("workplace")


def test_inspect_says_what_a_mel_is(run):
    np.save("h.npy", torch.full((3, 20, 80), -11.512925).index_fill(1, torch.tensor([4]), 0.5).numpy())
    code, out, _ = run("inspect", "h.npy")
    assert code == 0
    for word in ("(3, 20, 80) float32", "transposed", "natural logarithm (ln), floor 1e-05", "fits best", "hifigan_22k"):
        assert word in out
    _, out, _ = run("inspect", "h.npy", "--json")
    report = json.loads(out)
    assert (report["input"], report["log"], report["floor"], report["transposed"]) == ("h.npy", "ln", pytest.approx(1e-5), True)
    assert "hifigan_22k" in report["best"]
