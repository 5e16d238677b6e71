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
from torchmelinv.cli.convention_fields import add_field_options
from torchmelinv.io.audio_formats import SUBTYPES
from torchmelinv.io.mel_formats import MEL_SUFFIXES


def add_mel_file_options(parser: argparse.ArgumentParser, output: str) -> None:
    """Add the mel files and `--out`, which `plan` reads; a single input makes an `output`."""
    parser.add_argument(
        "input",
        nargs="+",
        metavar="INPUT",
        help=f"mel files ({', '.join(suffix[1:] for suffix in MEL_SUFFIXES)}), folders of them, or "
        "- for npy on stdin",
    )
    parser.add_argument(
        "-o",
        "--out",
        required=True,
        metavar="OUT",
        help=f"{output} for a single input, or - for stdout; otherwise a folder",
    )
    add_layout_options(parser)


def add_layout_options(parser: argparse.ArgumentParser, *, many: bool = True) -> None:
    """Add `--key` and `--frames-first`, which `layout_from` reads; without `many`, of one mel."""
    pattern = "; a pattern such as '*' takes many" if many else ""
    parser.add_argument(
        "--key",
        metavar="NAME",
        help="which array of a file is the mel: its name (npz, h5, safetensors), key (pt), column "
        f"(parquet, arrow), field (tar) or utterance (ark){pattern} (default: the only one, the "
        "only one with a name such as mel, or the only one of two or more dimensions)",
    )
    parser.add_argument(
        "--frames-first",
        action="store_true",
        help="mels are (n_frames, n_mels), as ESPnet, ParallelWaveGAN, FastSpeech 2 and SpeechT5 "
        "store them; those of Kaldi archives always are",
    )


def add_level_options(parser: argparse.ArgumentParser, default: str) -> None:
    """Add `--peak` and `--loudness`, which `level_from` reads."""
    levels = parser.add_mutually_exclusive_group()
    levels.add_argument(
        "--peak",
        type=float,
        metavar="DBFS",
        help="scale the audio to this peak in dB relative to full scale, such as -1",
    )
    levels.add_argument(
        "--loudness",
        type=float,
        metavar="LUFS",
        help="scale the audio to this loudness (ITU-R BS.1770), such as -23, with a peak of at "
        f"most -1 dBFS (default: {default})",
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
    parser.add_argument(
        "--stats",
        metavar="FILE",
        help="mean and scale of each band with which the mel was normalized last: h5, npz, npy or "
        "pt with mean and scale, ESPnet's feats_stats.npz, or an array (2, n_mels)",
    )
    add_field_options(parser)


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
