"""`torchmelinv convert`: mel files of one convention to mel files of another."""

from __future__ import annotations

import argparse
import contextlib
import warnings
from typing import Any

import torch

from torchmelinv.commands.options import add_device, add_json
from torchmelinv.convert import convert, way_between, what_is_lost
from torchmelinv.errors import TorchmelinvError
from torchmelinv.files import read_mel, write_mel
from torchmelinv.jobs.console import DONE, SOME_FAILED, print_json, say, usable_device
from torchmelinv.jobs.plan import plan
from torchmelinv.jobs.progress import Progress
from torchmelinv.presets import as_convention

_WAYS = {
    "level": "only the values change, the mels stay",
    "bands": "the bands are taken apart and put together again; no audio in between",
    "audio": "through audio: each mel is inverted and analysed again",
}


def add_parser(commands: Any) -> None:
    """What can be asked for."""
    about = "Turn mel files of one convention into mel files (npy) of another, by the shortest way, and say what that loses."
    parser = commands.add_parser("convert", help="mel files of one convention to another", description=about)
    parser.add_argument("input", nargs="+", metavar="INPUT", help="npy, npz, pt or safetensors files, or folders of them")
    parser.add_argument("-o", "--out", required=True, metavar="OUT", help="an npy file for a single input, else a folder")
    for name, whose in (("--from", "of the mels that come"), ("--to", "of the mels to be made")):
        parser.add_argument(name, required=True, metavar="NAME|FILE.json", dest=f"convention_{name[2:]}",
                            help=f"convention {whose}: a preset, its JSON, or a HiFi-GAN style config.json")
    add_device(parser)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Convert and report; the exit code."""
    source, target = as_convention(options.convention_from), as_convention(options.convention_to)
    device, tasks = usable_device(options.device), plan(options.input, options.out, ".npy")
    way, loses = way_between(source, target), what_is_lost(source, target)
    for loss in loses:
        say("note", f"lost on the way: {loss}")
    files, failed = [], 0
    with contextlib.closing(Progress(len(tasks), len(tasks))) as progress, torch.inference_mode():
        for task in tasks:
            error = None
            try:
                with warnings.catch_warnings(record=True) as odd:
                    warnings.simplefilter("always")
                    found = convert(read_mel(task.source).to(device), source, target)
                for warning in odd:
                    say("warning", f"{task.source}: {warning.message}")
                write_mel(task.target, found.mel)
            except TorchmelinvError as reason:
                error, failed = str(reason), failed + 1
                say("error", f"{task.source}: {error.removeprefix(f'{task.source} ')}")
            files.append({"input": str(task.source), "output": None if error else str(task.target), "error": error})
            progress.add(1, 1, 0.0)
    if options.json:
        print_json({"from": options.convention_from, "to": options.convention_to, "way": way, "loses": loses, "files": files,
                    "done": len(tasks) - failed, "failed": failed})
    else:
        print(f"{len(tasks) - failed} of {len(tasks)} files converted; {_WAYS[way]}")
    return SOME_FAILED if failed else DONE
