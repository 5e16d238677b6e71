"""Files of figures: formats, refusals, no window."""

from __future__ import annotations

import sys

import pytest
import torch

from tests.tiny import TINY
from torchmelinv import plot
from torchmelinv.errors import DependencyError, InputError


@pytest.fixture
def figure():
    return plot.compare_mels(torch.rand(8, 30), torch.rand(8, 30), TINY)


@pytest.mark.parametrize(
    ("suffix", "start"),
    [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml"), (".PNG", b"\x89PNG")],
)
def test_formats(figure, tmp_path, suffix, start):
    plot.save(figure, tmp_path / f"x{suffix}")
    assert (tmp_path / f"x{suffix}").read_bytes().startswith(start)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "message"), [("x.gif", "ends in '.gif'; .png, .pdf, .svg"), ("x", "has no suffix")]
)
def test_other_formats_are_refused(figure, tmp_path, name, message):
    with pytest.raises(InputError, match=message):
        plot.check_figure(name)
    with pytest.raises(InputError, match=message):
        plot.save(figure, tmp_path / name)


def test_missing_matplotlib_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(DependencyError, match=r"pip install 'torchmelinv\[plot\]'"):
        plot.check_figure("x.png")


@pytest.mark.usefixtures("figure")
def test_no_window_and_no_global_state():
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or not pyplot.get_fignums()
