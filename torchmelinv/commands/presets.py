"""`torchmelinv presets`: the conventions that have a name."""

from __future__ import annotations

import argparse
from typing import Any

from torchmelinv.jobs import describe
from torchmelinv.jobs.console import DONE, print_json, say
from torchmelinv.presets import preset_names


def add_parser(commands: Any) -> None:
    """What can be asked for."""
    parser = commands.add_parser("presets", help="the conventions that have a name",
                                 description="List the presets, or show one: with --json as a file for --convention.")
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument("--json", action="store_true", help="as JSON on stdout")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print them; the exit code."""
    if options.name is None and options.json:
        print_json([describe.preset_facts(name) for name in preset_names()])
    elif options.name is None:
        print("\n".join(describe.preset_lines()))
    elif options.json:  # the convention alone, so that `presets NAME --json > my.json` makes a file for --convention
        facts = describe.preset_facts(options.name)
        say("note", "; ".join(filter(None, (facts["source"], facts["note"]))))
        print_json(facts["convention"])
    else:
        print("\n".join(describe.convention_lines(options.name)))
    return DONE
