"""Options that several commands share: files, the convention, the inverter, device, formats."""

from __future__ import annotations

import argparse
from typing import get_args

from torchmelinv._utils.method_names import (
    InitName,
    MagnitudeName,
    MatchingName,
    PhaseName,
    RestorationName,
)
from torchmelinv.io.audio_formats import SUBTYPES


def add_mel_file_options(parser: argparse.ArgumentParser, output: str) -> None:
    """Add the mel files and `--out`, which `plan` reads; a single input makes an `output`."""
    parser.add_argument(
        "input",
        nargs="+",
        metavar="INPUT",
        help="npy, npz, pt or safetensors files, or folders of them",
    )
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        metavar="OUT",
        help=f"{output} for a single input, otherwise a folder",
    )


def add_convention_options(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add `--convention` and `--model-space`, which `convention_from` reads."""
    parser.add_argument(
        "--convention",
        required=required,
        metavar="NAME|FILE.json",
        help="convention of the mel: a preset (see `torchmelinv presets`), its JSON file, or a "
        "HiFi-GAN style config.json",
    )
    parser.add_argument(
        "--model-space",
        action="store_true",
        help="the mel is normalized further, as the preset's acoustic model expects",
    )


def add_inverter_options(parser: argparse.ArgumentParser) -> None:
    """Add the convention and the options of `MelInverter`, which `inverter_from` reads."""
    add_convention_options(parser)
    parser.add_argument(
        "--magnitude",
        choices=sorted(get_args(MagnitudeName)),
        help="inverse of the filterbank (default: entropic)",
    )
    parser.add_argument(
        "--phase",
        choices=sorted(get_args(PhaseName)),
        help="phase method (default: coarse_to_fine)",
    )
    parser.add_argument(
        "--n-iter", type=int, metavar="N", help="iterations of the phase method (default: 32)"
    )
    parser.add_argument(
        "--init",
        choices=get_args(InitName),
        help="initial phase (default: pghi, estimated from the magnitude)",
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="seed of the random initial phase (default: 0)"
    )
    parser.add_argument(
        "--restore",
        choices=[*get_args(RestorationName), *get_args(MatchingName)],
        help="sharpen mels that are smoother than those of sounds (default: auto, as much as the "
        "mel was smoothed, but none with --mfcc and for roundtrip; the mel of a recording stays as "
        "it is)",
    )
    parser.add_argument(
        "--statistics",
        metavar="FILE.json",
        help="statistics of real mels for --restore match_…, from `torchmelinv statistics`",
    )
    add_device_option(parser)


def add_device_option(parser: argparse.ArgumentParser, best: bool = False) -> None:
    """Add `--device`; with `best`, its default is None, for CUDA where there is a device."""
    default = "cuda where there is one, otherwise cpu" if best else "cpu"
    parser.add_argument(
        "--device",
        default=None if best else "cpu",
        help=f"cpu, cuda, cuda:1, mps (default: {default})",
    )


def add_subtype_option(parser: argparse.ArgumentParser) -> None:
    """Add `--subtype`, the sample format of written audio."""
    parser.add_argument(
        "--subtype", choices=SUBTYPES, help="sample format of the audio (default: PCM_16)"
    )


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print a JSON report on stdout")
