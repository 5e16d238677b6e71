"""Options that several commands share: files, the convention, the inverter, device, formats."""

from __future__ import annotations

import argparse

from torchmelinv._utils.validation import check_number
from torchmelinv.cli.convention_fields import add_field_options, fields_from
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
from torchmelinv.io.audio import SUBTYPES
from torchmelinv.io.mels import MEL_SUFFIXES, MelLayout
from torchmelinv.io.paths import existing_file
from torchmelinv.io.picture_files import Picture
from torchmelinv.io.statistics_files import read_band_statistics
from torchmelinv.magnitude import MAGNITUDES
from torchmelinv.phase import PHASES
from torchmelinv.phase.initial_phase import INITS
from torchmelinv.restoration.matching import MatchModulationSpectrum, MatchVariance
from torchmelinv.restoration.registry import RESTORATIONS
from torchmelinv.restoration.restoration import Restoration
from torchmelinv.restoration.statistics import MelStatistics

INVERTER_OPTIONS = ("magnitude", "phase", "n_iter", "init", "seed")
_QUIETEST = 100.0  # dB below full scale
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


def add_layout_options(parser: argparse.ArgumentParser) -> None:
    """Add `--key` and `--frames-first`, which `layout_from` reads."""
    parser.add_argument(
        "--key",
        metavar="NAME",
        help="which array of a file is the mel: its name (npz, h5, safetensors), key (pt), column "
        "(parquet, arrow), field (tar) or utterance (ark); a pattern such as '*' takes many "
        "(default: the only one, or the only one with a name such as mel)",
    )
    parser.add_argument(
        "--frames-first",
        action="store_true",
        help="mels are (n_frames, n_mels), as ESPnet, ParallelWaveGAN, FastSpeech 2 and SpeechT5 "
        "store them; those of Kaldi archives always are",
    )


def layout_from(options: argparse.Namespace) -> MelLayout:
    """Return how mels lie in their files; the preset gives the scale of pictures."""
    name = getattr(options, "convention", None)
    picture = preset_info(name).picture if name in preset_names() else None
    scale = Picture(**picture) if picture else None
    return MelLayout(options.key, options.frames_first, scale)


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


def level_from(options: argparse.Namespace, convention: MelConvention | None) -> OutputLevel | None:
    """Return the level of written audio: as given, or the default of the mels' convention."""
    for kind, value in (("peak", options.peak), ("loudness", options.loudness)):
        if value is not None:
            check_number(f"--{kind}", value, -_QUIETEST, 0)
            return OutputLevel(kind, value)  # type: ignore[arg-type]
    return default_level(convention) if convention else None


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
        choices=sorted(MAGNITUDES),
        help="inverse of the filterbank (default: entropic)",
    )
    parser.add_argument(
        "--phase", choices=sorted(PHASES), help="phase method (default: mel_consistent)"
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
