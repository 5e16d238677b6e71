"""Public names: no module hides one, and `dir` lists them."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import torchmelinv
from tests.public import public_modules
from torchmelinv import phases
from torchmelinv.phase import PHASES


def submodules(package: object) -> set[str]:
    return {module.name for module in pkgutil.iter_modules(getattr(package, "__path__", []))}


@pytest.mark.parametrize("name", public_modules())
def test_no_exported_function_or_class_has_the_name_of_a_module(name):
    module = public_modules()[name]
    for exported in submodules(module) & set(module.__all__):
        assert inspect.ismodule(getattr(module, exported)), exported


def test_import_as_gives_the_module():
    """`import a.b as c` gives the attribute `b` of `a`, which must be the module."""
    for info in pkgutil.walk_packages(torchmelinv.__path__, "torchmelinv."):
        if not info.name.endswith("__main__"):
            module = importlib.import_module(info.name)
            parent, _, leaf = info.name.rpartition(".")
            assert getattr(importlib.import_module(parent), leaf) is module


def test_dir_lists_the_exported_names():
    assert dir(torchmelinv) == sorted(torchmelinv.__all__)
    assert all(hasattr(torchmelinv, name) for name in torchmelinv.__all__)


def test_every_registered_phase_method_is_exported():
    assert {method.__name__ for method in PHASES.values()} <= set(phases.__all__)
