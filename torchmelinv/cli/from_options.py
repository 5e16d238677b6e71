"""The objects that options name: convention, inverter, restoration, files, level, device."""

from __future__ import annotations

import argparse

import torch

from torchmelinv._utils.validation import check_number
from torchmelinv.cli.convention_fields import fields_from
from torchmelinv.conventions import MelConvention, MfccConvention
from torchmelinv.conventions.presets import (
    as_convention,
    as_mfcc_convention,
    preset,
    preset_info,
    preset_names,
)
from torchmelinv.corpus.output_level import OutputLevel, default_level
from torchmelinv.errors import ConventionError, InputError
from torchmelinv.invert import MelInverter
from torchmelinv.io.mels import MelLayout
from torchmelinv.io.paths import existing_file
from torchmelinv.io.picture_files import Picture
from torchmelinv.io.statistics_files import read_band_statistics
from torchmelinv.restoration.matching import MatchModulationSpectrum, MatchVariance
from torchmelinv.restoration.restoration import Restoration
from torchmelinv.restoration.statistics import MelStatistics

_QUIETEST = 100.0  # dB below full scale
INVERTER_OPTIONS = ("magnitude", "phase", "n_iter", "init", "seed")
MATCHING: dict[str, type[MatchVariance | MatchModulationSpectrum]] = {
    "match_variance": MatchVariance,
    "match_modulation_spectrum": MatchModulationSpectrum,
}


def convention_from(options: argparse.Namespace) -> MelConvention:
    """Return the convention of the mels."""
    is_file = options.convention.lower().endswith(".json")
    if options.model_space and is_file:
        raise InputError(
            "--model-space needs a preset's name; a JSON file already defines the mel completely"
        )
    if mfcc := mfcc_convention_from(options):
        return mfcc.mel
    fields, level = fields_from(options)
    if options.stats is not None:
        mean, scale = read_band_statistics(options.stats)
        level = {"band_mean": mean.tolist(), "band_scale": scale.tolist(), **level}
    if is_file:
        convention = as_convention(options.convention).replace(**fields)
    else:
        names = ("band_mean", "band_scale") if options.model_space else ()
        statistics = {name: level[name] for name in names if name in level}
        convention = preset(
            options.convention, model_space=options.model_space, **statistics, **fields
        )
    return (
        convention.replace(level={**convention.level.to_dict(), **level}) if level else convention
    )


def mfcc_convention_from(options: argparse.Namespace) -> MfccConvention | None:
    """Return the convention of the MFCCs, None without `--mfcc`."""
    if not getattr(options, "mfcc", False):
        return None
    mfcc = as_mfcc_convention(options.convention)
    fields, level = fields_from(options)
    if options.stats is not None:
        raise InputError("--stats are those of mels; MFCCs take none")
    if not fields and not level:
        return mfcc
    return mfcc.replace(mel=mfcc.mel.replace(level={**mfcc.mel.level.to_dict(), **level}, **fields))


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


def layout_from(options: argparse.Namespace) -> MelLayout:
    """Return how mels lie in their files; the preset gives the scale of pictures."""
    name = getattr(options, "convention", None)
    picture = preset_info(name).picture if name in preset_names() else None
    scale = Picture(**picture) if picture else None
    return MelLayout(options.key, options.frames_first, scale)


def level_from(options: argparse.Namespace, convention: MelConvention | None) -> OutputLevel | None:
    """Return the level of written audio: as given, or the default of the mels' convention."""
    for kind, value in (("peak", options.peak), ("loudness", options.loudness)):
        if value is not None:
            check_number(f"--{kind}", value, -_QUIETEST, 0)
            return OutputLevel(kind, value)  # type: ignore[arg-type]
    return default_level(convention) if convention else None


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
