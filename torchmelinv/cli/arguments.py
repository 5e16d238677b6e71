"""The arguments of each command. Needs no torch, so that `--help` and mistakes answer at once."""

from __future__ import annotations

import argparse
from typing import Any

from torchmelinv.cli.options import (
    add_convention_options,
    add_device_option,
    add_inverter_options,
    add_json_option,
    add_layout_options,
    add_level_options,
    add_mel_file_options,
    add_subtype_option,
)
from torchmelinv.io.audio_formats import AUDIO_FORMATS

_KERNEL_SECONDS = 120.0  # for two batches, with the start of a process and of CUDA

_INVERT = """Invert mel files to audio files. A mel (channels, n_mels, n_frames), of at most 8
channels, becomes one audio file with these channels; (items, channels, n_mels, n_frames) becomes
numbered files. Save a batch of mono mels as (items, 1, n_mels, n_frames). An output folder keeps a
record of finished files with checksums in manifest-*.jsonl: the same command resumes a job that was
interrupted, and inverts changed files again. `torchrun --nproc-per-node N -m torchmelinv invert …`
shares the files among N processes, each on its own GPU with --device cuda, and so does `srun` of
SLURM; for the tasks of a job array, set RANK and WORLD_SIZE. There, failed files do
not change the exit code without --strict, because the launcher would end all processes."""
_STATISTICS = """Compute mean, deviation and modulation spectrum of each band of real mels, or of
the mels of recordings, such as those a network was trained on; a few minutes of sound suffice.
`invert --restore match_variance` or `match_modulation_spectrum` with `--statistics FILE` gives
predicted mels those statistics."""
_EXPORT = """Write the inversion, mel (batch, n_mels, n_frames) to waveform (batch,
n_samples), as an ONNX file for runtimes without Python and torch; batch and length are free. Its
metadata name the convention and the options. ONNX Runtime then runs it, and the difference from
the form that devices run in torch is printed. Takes some minutes. Needs
`pip install 'torchmelinv[export]'`."""


def add_commands(commands: Any) -> None:
    """Add a parser for each command.

    The name of a command is that of the module in `torchmelinv.cli` whose `run` executes it.

    Args:
        commands: What `ArgumentParser.add_subparsers` returned.
    """
    for add_command in (
        _add_invert,
        _add_roundtrip,
        _add_convert,
        _add_evaluate,
        _add_statistics,
        _add_presets,
        _add_identify,
        _add_export,
        _add_doctor,
        _add_completion,
    ):
        add_command(commands)


def _add_invert(commands: Any) -> None:
    parser = commands.add_parser("invert", help="mel files to audio files", description=_INVERT)
    add_mel_file_options(parser, "a wav or flac file")
    add_inverter_options(parser)
    parser.add_argument(
        "--mfcc",
        action="store_true",
        help="the files hold MFCCs; --convention is the JSON file of an MfccConvention",
    )
    add_level_options(parser, "the mel's own, and -23 where the convention keeps none")
    add_subtype_option(parser)
    add_json_option(parser)
    parser.add_argument(
        "--batch",
        type=_batch_size,
        metavar="N",
        help="most mels in a batch, each channel counted (default: 64 on an accelerator, if memory "
        "allows; 1 on the CPU)",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="stop at the first file that fails, with exit code 1",
    )
    parser.add_argument(
        "--format",
        choices=[suffix[1:] for suffix in AUDIO_FORMATS],
        default="wav",
        help="format of the files in an output folder (default: wav)",
    )


def _batch_size(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer ≥ 1")
    return int(text)


def _add_roundtrip(commands: Any) -> None:
    parser = commands.add_parser(
        "roundtrip",
        help="a recording to its mel and back, with distances",
        description="Analyze a recording, invert its mel, and report how close the result is.",
    )
    parser.add_argument(
        "audio",
        metavar="AUDIO",
        help="any audio file, or - for wav on stdin; it is resampled to the convention's rate and "
        "keeps its channels",
    )
    parser.add_argument(
        "-o", "--out", metavar="OUT", help="wav or flac file for the result, or - for wav on stdout"
    )
    parser.add_argument(
        "--plot",
        metavar="FIGURE",
        help="plot both mels (means of the channels) and their difference to this png, pdf or svg "
        "file",
    )
    add_inverter_options(parser)
    add_level_options(parser, "that of the recording")
    add_subtype_option(parser)
    add_json_option(parser)
    parser.set_defaults(measures_closeness=True)


def _add_convert(commands: Any) -> None:
    parser = commands.add_parser(
        "convert",
        help="mel files of one convention to another",
        description="Convert mel files of one convention to mel files (npy) of another by the "
        "shortest route, and list the losses.",
    )
    add_mel_file_options(parser, "an npy file")
    for name, mels in (("from", "input"), ("to", "output")):
        parser.add_argument(
            f"--{name}",
            required=True,
            metavar="NAME|FILE.json",
            dest=f"convention_{name}",
            help=f"convention of the {mels} mels: a preset, its JSON file, or a HiFi-GAN style "
            "config.json",
        )
    add_device_option(parser)
    add_json_option(parser)


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="scores of generated files against references",
        description="Score the files of one or several systems against their references. Files "
        "are paired by their relative path without suffix. Two waveforms have all metrics; of two "
        "mels, or a mel and a waveform, the mels are compared. The channels of audio are mixed to "
        "one. Metrics compare frame by frame, and those called aligned after dynamic time warping "
        "of mel cepstra. PESQ and ESTOI need the extra 'metrics', and --opinion the extra 'mos'.",
    )
    parser.add_argument(
        "--reference", metavar="DIR", help="folder of audio or mel files, or one file"
    )
    parser.add_argument(
        "--generated",
        action="append",
        metavar="[NAME=]DIR",
        help="folder of the files of a system, or one file; give it once for each system (default "
        "name: that of the folder). Differences are those to the first system",
    )
    add_convention_options(parser, required=False)
    add_layout_options(parser, many=False)
    add_device_option(parser, best=True)
    parser.add_argument(
        "--glossary",
        action="store_true",
        help="print what each metric measures and what a good number is",
    )
    parser.add_argument(
        "--inverted-reference",
        metavar="DIR",
        help="add the references, inverted from their own mels to this folder with the defaults of "
        "`invert`, as a system: what the mel and the inversion lose",
    )
    parser.add_argument(
        "--opinion",
        action="store_true",
        help="add DistillMOS, DNSMOS and PLCMOS, of the generated waveforms and of the references. "
        "They are networks trained on speech, without text or reference: a flawed waveform can "
        "score higher than the recording",
    )
    parser.add_argument(
        "--si-sdr",
        action="store_true",
        help="add the SI-SDR, for waveforms that keep the phase of the reference; audio from a mel "
        "does not",
    )
    parser.add_argument(
        "--scores",
        metavar="DIR",
        help="keep the scores of each pair in this folder: a later run computes only what is "
        "missing, and the ranks of a launcher such as torchrun share the work",
    )
    parser.add_argument("--csv", metavar="FILE", help="write the scores of each pair to this file")
    parser.add_argument(
        "--html",
        metavar="FILE.html|DIR",
        help="write a page to listen to and compare, as one file or as a folder",
    )
    parser.add_argument(
        "--plot",
        metavar="FIGURE",
        help="plot the distribution of each metric to this png, pdf or svg file",
    )
    add_json_option(parser)


def _add_statistics(commands: Any) -> None:
    parser = commands.add_parser(
        "statistics", help="statistics of real mels, for --restore", description=_STATISTICS
    )
    parser.add_argument(
        "input",
        nargs="+",
        metavar="INPUT",
        help="mel files, audio files, or folders of them",
    )
    parser.add_argument(
        "-o", "--out", required=True, metavar="FILE.json", help="file of the statistics"
    )
    add_convention_options(parser)
    add_layout_options(parser)


def _add_presets(commands: Any) -> None:
    parser = commands.add_parser(
        "presets",
        help="list the presets, or show one",
        description="List the presets, or show one, or the convention of a JSON file. "
        "`presets NAME --json` prints a file for --convention.",
    )
    parser.add_argument("name", nargs="?", metavar="NAME|FILE.json")
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")


def _add_identify(commands: Any) -> None:
    parser = commands.add_parser(
        "identify",
        help="find the convention of a mel",
        description="Show shape, logarithm and floor of a mel file, which presets fit, and why.",
    )
    parser.add_argument("mel", metavar="MEL", help="a mel file, or - for npy on stdin")
    add_layout_options(parser, many=False)
    add_json_option(parser)


def _add_export(commands: Any) -> None:
    parser = commands.add_parser(
        "export", help="write the inversion as an ONNX file", description=_EXPORT
    )
    parser.add_argument("out", metavar="OUT.onnx", help="the file to write")
    parser.add_argument(
        "--analysis",
        action="store_true",
        help="write the opposite direction, waveform (batch, n_samples) to mel, instead",
    )
    add_inverter_options(parser)
    add_json_option(parser)


def _add_doctor(commands: Any) -> None:
    parser = commands.add_parser(
        "doctor",
        help="report the environment, and check the CUDA kernels on this machine",
        description="Report the environment and what works here. On a CUDA device, also run each "
        "kernel in a process of its own, compare it with plain torch in float64, and time both. "
        "The verdict goes to the cache folder ($TORCHMELINV_CACHE or ~/.cache/torchmelinv): "
        "backend 'auto' uses the kernels that are right and faster on this device, with this "
        "driver and this torch. Takes some minutes there, and seconds elsewhere.",
    )
    parser.add_argument(
        "--device", metavar="cuda:N", help="the CUDA device to check (default: the current one)"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=_KERNEL_SECONDS,
        help=f"time for each kernel, after which it counts as hung (default: {_KERNEL_SECONDS:g})",
    )
    parser.add_argument(
        "--no-kernels", action="store_true", help="only the report; check no kernels"
    )
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")


def _add_completion(commands: Any) -> None:
    parser = commands.add_parser(
        "completion",
        help="print the completion of a shell",
        description="Print a script that completes commands, options and files. For bash: "
        "`torchmelinv completion bash > ~/.local/share/bash-completion/completions/torchmelinv`; "
        "for zsh, a file _torchmelinv in a folder of $fpath. Needs "
        "`pip install 'torchmelinv[completion]'`.",
    )
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"))
