"""`torchmelinv inspect`: what is this mel?"""

from __future__ import annotations

import argparse
from typing import Any

from torchmelinv import inspection
from torchmelinv.commands.options import add_json
from torchmelinv.files import read_mel
from torchmelinv.jobs import describe
from torchmelinv.jobs.console import DONE, print_json


def add_parser(commands: Any) -> None:
    """What can be asked for."""
    parser = commands.add_parser("inspect", help="what is this mel?",
                                 description="Say what a mel file looks like: shape, logarithm, floor, presets that fit and why.")
    parser.add_argument("mel", metavar="MEL", help="an npy, npz, pt or safetensors file")
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Look and tell; the exit code."""
    found = inspection.inspect(read_mel(options.mel))
    if options.json:
        print_json({"input": options.mel, **describe.inspection_facts(found)})
    else:
        print("\n".join(describe.inspection_lines(found)))
    return DONE
