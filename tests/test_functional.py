"""The flat list holds what the rooms define, and nothing of its own."""

from __future__ import annotations

import inspect

import torchmelinv
from torchmelinv import functional


def test_imports_only_and_every_function_has_shapes_in_its_docstring():
    listed = {name: thing for name, thing in vars(functional).items() if not name.startswith("_")}
    assert len(listed) >= 15
    for name, function in listed.items():
        assert callable(function), name
        assert function.__module__ != functional.__name__, name
        assert "…" in function.__doc__ or "(n_mels" in function.__doc__, name


def test_the_front_door_has_no_logic_and_two_dozen_names_at_most():
    public = {name for name, thing in vars(torchmelinv).items() if not name.startswith("_") and not inspect.ismodule(thing)}
    assert 12 <= len(public) <= 24
    for name in public:
        assert getattr(torchmelinv, name).__doc__, name
