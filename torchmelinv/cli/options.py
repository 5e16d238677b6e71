"""Options that several commands share: files, the convention, the inverter, device, formats."""

from __future__ import annotations

import argparse

from torchmelinv.conventions import MelConvention, MfccConvention
from torchmelinv.conventions.presets import as_convention, as_mfcc_convention, preset
from torchmelinv.errors import ConventionError, InputError
from torchmelinv.invert import MelInverter
from torchmelinv.io.audio import SUBTYPES
from torchmelinv.io.paths import existing_file
from torchmelinv.magnitude import MAGNITUDES
from torchmelinv.phase import PHASES
from torchmelinv.phase.initial_phase import INITS
from torchmelinv.restoration.matching import MatchModulationSpectrum, MatchVariance
from torchmelinv.restoration.registry import RESTORATIONS
from torchmelinv.restoration.restoration import Restoration
from torchmelinv.restoration.statistics import MelStatistics

INVERTER_OPTIONS = ("magnitude", "phase", "n_iter", "init", "seed")
_MATCHING = {
    "match_variance": MatchVariance,
    "match_modulation_spectrum": MatchModulationSpectrum,
}


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


def add_convention_options(parser: argparse.ArgumentParser) -> None:
    """Add `--convention` and `--model-space`, which `convention_from` reads."""
    parser.add_argument(
        "--convention",
        required=True,
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
        choices=sorted(MAGNITUDES),
        help="inverse of the filterbank (default: entropic)",
    )
    parser.add_argument(
        "--phase", choices=sorted(PHASES), help="phase method (default: coarse_to_fine)"
    )
    parser.add_argument(
        "--n-iter", type=int, metavar="N", help="iterations of the phase method (default: 32)"
    )
    parser.add_argument(
        "--init",
        choices=INITS,
        help="initial phase (default: pghi, estimated from the magnitude)",
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="seed of the random initial phase (default: 0)"
    )
    parser.add_argument(
        "--restore",
        choices=[*RESTORATIONS, *_MATCHING],
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


def add_device_option(parser: argparse.ArgumentParser) -> None:
    """Add `--device`."""
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps (default: cpu)")


def add_subtype_option(parser: argparse.ArgumentParser) -> None:
    """Add `--subtype`, the sample format of written audio."""
    parser.add_argument(
        "--subtype", choices=SUBTYPES, help="sample format of the audio (default: PCM_16)"
    )


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print a JSON report on stdout")


def convention_from(options: argparse.Namespace) -> MelConvention:
    """Return the convention of the mels."""
    if options.model_space and options.convention.lower().endswith(".json"):
        raise InputError(
            "--model-space needs a preset's name; a JSON file already defines the mel completely"
        )
    if options.model_space:
        return preset(options.convention, model_space=True)
    mfcc = mfcc_convention_from(options)
    return mfcc.mel if mfcc else as_convention(options.convention)


def mfcc_convention_from(options: argparse.Namespace) -> MfccConvention | None:
    """Return the convention of the MFCCs, None without `--mfcc`."""
    return as_mfcc_convention(options.convention) if getattr(options, "mfcc", False) else None


def inverter_from(options: argparse.Namespace) -> MelInverter:
    """Return the inverter; options that were not given keep the defaults of `MelInverter`."""
    given = {name: getattr(options, name) for name in INVERTER_OPTIONS}
    given["restore"] = _restoration_from(options)
    given = {name: value for name, value in given.items() if value is not None}
    return MelInverter(convention_from(options), **given)


def _restoration_from(options: argparse.Namespace) -> str | Restoration | None:
    """Return the restoration; None if the default of `MelInverter` applies."""
    if (options.restore in _MATCHING) != (options.statistics is not None):
        names = " or ".join(f"--restore {name}" for name in _MATCHING)
        raise InputError(f"--statistics FILE.json and {names} need each other")
    if options.statistics is None:
        # Few coefficients keep no detail that a restoration could raise, and a roundtrip asks how
        # close the inversion comes.
        is_exact = mfcc_convention_from(options) is not None or getattr(
            options, "measures_closeness", False
        )
        return "none" if options.restore is None and is_exact else options.restore
    path = existing_file(options.statistics)
    try:
        statistics = MelStatistics.from_json(path.read_text(encoding="utf-8"))
    except (ConventionError, UnicodeDecodeError) as error:
        raise InputError(f"{path} holds no statistics: {error}") from error
    return _MATCHING[options.restore](statistics)
