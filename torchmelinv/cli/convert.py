"""`torchmelinv convert`: mel files of one convention to mel files of another."""

from __future__ import annotations

import argparse
import warnings

import torch

from torchmelinv.cli.console import (
    EXIT_FAILED,
    EXIT_OK,
    print_json,
    print_message,
)
from torchmelinv.cli.from_options import check_device, layout_from
from torchmelinv.cli.progress import Progress
from torchmelinv.cli.streams import with_streams
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import as_convention
from torchmelinv.conversion import conversion_losses, conversion_route, convert
from torchmelinv.corpus.planning import Task, plan
from torchmelinv.errors import DiskError, TorchmelinvError
from torchmelinv.io.mels import write_mel
from torchmelinv.io.memory import memory_errors

_ROUTES = {
    "compression": "only the values change",
    "bands": "the filterbank is inverted and the other one applied, without audio",
    "audio": "through audio: each mel is inverted and the waveform analyzed",
}


@with_streams("input", read=".npy", write=".npy")
def run(options: argparse.Namespace) -> int:
    """Convert the files, print a report and return the exit code."""
    source, target = as_convention(options.convention_from), as_convention(options.convention_to)
    device, tasks = (
        check_device(options.device),
        plan(options.input, options.out, ".npy", layout_from(options)),
    )
    route, losses = conversion_route(source, target), conversion_losses(source, target)
    for loss in losses:
        print_message("note", f"lost: {loss}")
    errors: list[str | None] = []
    with Progress(len(tasks), len(tasks)) as progress:
        for task in tasks:
            errors.append(_convert_file(task, source, target, device))
            progress.add(1, 1, 0.0)
    failed = sum(error is not None for error in errors)
    if options.json:
        files = [
            {
                "input": task.name,
                "output": None if error else str(task.target),
                "error": error,
            }
            for task, error in zip(tasks, errors, strict=True)
        ]
        print_json(
            {
                "from": options.convention_from,
                "to": options.convention_to,
                "route": route,
                "losses": losses,
                "files": files,
                "done": len(tasks) - failed,
                "failed": failed,
            }
        )
    else:
        print(f"{len(tasks) - failed} of {len(tasks)} files converted; {_ROUTES[route]}")
    return EXIT_FAILED if failed else EXIT_OK


@torch.inference_mode()
def _convert_file(
    task: Task, source: MelConvention, target: MelConvention, device: torch.device
) -> str | None:
    """Convert one file, print its warnings, and return its error if there is one."""
    try:
        with memory_errors(task.source), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            conversion = convert(task.read().to(device), source, target)
        for warning in caught:
            print_message("warning", f"{task.name}: {warning.message}")
        write_mel(task.target, conversion.mel)
    except DiskError:
        raise
    except TorchmelinvError as error:
        reason = str(error)
        print_message("error", f"{task.name}: {reason.removeprefix(f'{task.source} ')}")
        return reason
    return None
