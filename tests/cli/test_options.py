"""Options that commands share: their names and choices."""

from __future__ import annotations

import argparse

from torchmelinv.cli.options import add_inverter_options, add_subtype_option
from torchmelinv.io.audio_formats import SUBTYPES
from torchmelinv.magnitude import MAGNITUDES
from torchmelinv.phase import PHASES
from torchmelinv.phase.initial_phase import INITS
from torchmelinv.restoration.registry import RESTORATIONS


def test_choices_are_those_of_the_registries():
    parser = argparse.ArgumentParser()
    add_inverter_options(parser)
    add_subtype_option(parser)
    choices = {action.dest: action.choices for action in parser._actions}
    assert set(choices["magnitude"]) == set(MAGNITUDES)
    assert set(choices["phase"]) == set(PHASES)
    assert choices["init"] == INITS
    assert set(RESTORATIONS) < set(choices["restore"])
    assert choices["subtype"] == SUBTYPES
