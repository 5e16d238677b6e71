"""The types of names agree with the registries of the methods."""

from __future__ import annotations

import typing

from torchmelinv._utils import method_names
from torchmelinv.cli.from_options import MATCHING
from torchmelinv.magnitude import MAGNITUDES
from torchmelinv.phase import PHASES
from torchmelinv.phase.initial_phase import INITS
from torchmelinv.restoration.registry import RESTORATIONS


def test_literal_types_agree_with_the_registries():
    assert typing.get_args(method_names.PhaseName) == tuple(PHASES)
    assert typing.get_args(method_names.MagnitudeName) == tuple(MAGNITUDES)
    assert typing.get_args(method_names.InitName) == INITS
    assert typing.get_args(method_names.RestorationName) == tuple(RESTORATIONS)
    assert typing.get_args(method_names.MatchingName) == tuple(MATCHING)
