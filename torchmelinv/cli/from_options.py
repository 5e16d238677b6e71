"""The objects that options name: convention, inverter, restoration, device."""

from __future__ import annotations

import argparse

import torch

from torchmelinv.conventions import MelConvention, MfccConvention
from torchmelinv.conventions.presets import as_convention, as_mfcc_convention, preset
from torchmelinv.errors import ConventionError, InputError
from torchmelinv.invert import MelInverter
from torchmelinv.io.paths import existing_file
from torchmelinv.restoration.matching import MatchModulationSpectrum, MatchVariance
from torchmelinv.restoration.restoration import Restoration
from torchmelinv.restoration.statistics import MelStatistics

INVERTER_OPTIONS = ("magnitude", "phase", "n_iter", "init", "seed")
MATCHING: dict[str, type[MatchVariance | MatchModulationSpectrum]] = {
    "match_variance": MatchVariance,
    "match_modulation_spectrum": MatchModulationSpectrum,
}


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
    if (options.restore in MATCHING) != (options.statistics is not None):
        names = " or ".join(f"--restore {name}" for name in MATCHING)
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
    return MATCHING[options.restore](statistics)


def _available_devices() -> list[str]:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    gpus = [f"cuda:{index}" for index in range(count)]
    return ["cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])]


def check_device(name: str) -> torch.device:
    """Return the device of this name, after moving a tensor there and back; else `InputError`."""
    available = f"available: {', '.join(_available_devices())}"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"there is no device {name!r}; {available}") from None
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0].split(". ")[0].rstrip(".")
        raise InputError(f"device {name!r} cannot be used ({reason}); {available}") from None
    return device
