"""What several commands ask for alike: a convention, and the method that inverts its mels."""

from __future__ import annotations

import argparse

from torchmelinv.conventions import MelConvention, MfccConvention
from torchmelinv.errors import InputError
from torchmelinv.files import SUBTYPES
from torchmelinv.interchange import as_mfcc_convention
from torchmelinv.invert import MAGNITUDES, PHASES, MelInverter
from torchmelinv.phase.start import STARTS
from torchmelinv.presets import as_convention, preset


def add_convention(parser: argparse.ArgumentParser) -> None:
    """`--convention` and `--model-space`, which `convention` reads."""
    parser.add_argument("--convention", required=True, metavar="NAME|FILE.json",
                        help="the mel's convention: a preset (`torchmelinv presets`), its JSON, or a HiFi-GAN style config.json")
    parser.add_argument("--model-space", action="store_true",
                        help="the mel is normalised further, as the preset's acoustic model sees it")


def convention(options: argparse.Namespace) -> MelConvention:
    """The convention that was named."""
    if options.model_space and options.convention.lower().endswith(".json"):
        raise InputError("--model-space goes with a preset's name; a file says all there is to say")
    if options.model_space:
        return preset(options.convention, model_space=True)
    found = mfcc_convention(options)
    return found.mel if found else as_convention(options.convention)


def mfcc_convention(options: argparse.Namespace) -> MfccConvention | None:
    """With `--mfcc`, the convention of the MFCCs, whose `mel` is the convention."""
    return as_mfcc_convention(options.convention) if getattr(options, "mfcc", False) else None


def add_method(parser: argparse.ArgumentParser) -> None:
    """The convention and the numbers of the inversion, which `inverter` reads, and `--device`."""
    add_convention(parser)
    parser.add_argument("--magnitude", choices=sorted(MAGNITUDES), help="how the filterbank is undone (default: entropic)")
    parser.add_argument("--phase", choices=sorted(PHASES), help="how the phase is found (default: mel_consistent)")
    parser.add_argument("--n-iter", type=int, metavar="N", help="iterations of the phase method (default: 32)")
    parser.add_argument("--start", choices=STARTS, help="where the phase begins (default: pghi, read off the magnitude)")
    parser.add_argument("--seed", type=int, metavar="N", help="of random phases (default: 0)")
    add_device(parser)


def add_device(parser: argparse.ArgumentParser) -> None:
    """`--device`."""
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps (default: cpu)")


def inverter(options: argparse.Namespace) -> MelInverter:
    """The inverter of these options; what was not said stays at `MelInverter`'s default."""
    chosen = {name: getattr(options, name) for name in ("magnitude", "phase", "n_iter", "start", "seed")}
    return MelInverter(convention(options), **{name: value for name, value in chosen.items() if value is not None})


def add_subtype(parser: argparse.ArgumentParser) -> None:
    """`--subtype` of written audio."""
    parser.add_argument("--subtype", choices=SUBTYPES, help="sample format of the audio (default: PCM_16)")


def add_json(parser: argparse.ArgumentParser) -> None:
    """`--json`."""
    parser.add_argument("--json", action="store_true", help="report as JSON on stdout")
