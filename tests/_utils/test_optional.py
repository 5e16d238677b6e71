"""Optional packages: imported on use, with an error that names the fix."""

from __future__ import annotations

import math
import sys

import pytest

from torchmelinv._utils.optional import require
from torchmelinv.errors import DependencyError


def test_an_installed_package_is_imported():
    assert require("math") is math


def test_a_missing_package_names_the_fix(monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(DependencyError, match=r"soundfile is needed .*`pip install soundfile`"):
        require("soundfile")
    with pytest.raises(DependencyError, match=r"`pip install 'torchmelinv\[plot\]'`"):
        require("soundfile", "plot")


def test_a_package_that_does_not_load_names_the_fix(monkeypatch):
    def broken(name):
        raise OSError("libsndfile not found")

    monkeypatch.setattr("importlib.import_module", broken)
    with pytest.raises(DependencyError, match=r"\(libsndfile not found\); `pip install soundfile`"):
        require("soundfile")
