"""`torchmelinv statistics`: statistics of real mels, for restorations that match them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from torch import Tensor

from torchmelinv.analysis import MelSpectrogram
from torchmelinv.cli.console import EXIT_FAILED, EXIT_OK, failures, print_message
from torchmelinv.cli.from_options import convention_from, layout_from
from torchmelinv.cli.progress import Progress
from torchmelinv.conventions import MelConvention
from torchmelinv.corpus.loading import load_waveform
from torchmelinv.errors import FileError, TorchmelinvError
from torchmelinv.io.audio_formats import AUDIO_SUFFIXES
from torchmelinv.io.disk_errors import check_writable
from torchmelinv.io.mels import MelEntry, MelLayout, find_mels, mel_entries, read_mel
from torchmelinv.io.memory import check_memory, memory_errors
from torchmelinv.io.paths import atomic_write, check_exists
from torchmelinv.restoration.statistics import mel_statistics
from torchmelinv.transforms.mel_checks import check_mel_shape, check_mel_values


def run(options: argparse.Namespace) -> int:
    """Compute and write the statistics, and return the exit code."""
    convention = convention_from(options)
    with failures():
        check_writable(options.out)
    layout = layout_from(options)
    paths = [
        entry
        for name in options.input
        for path in _files(Path(name))
        for entry in _entries(path, layout)
    ]
    failed: list[str] = []
    with Progress(len(paths), len(paths)) as progress:
        statistics = mel_statistics(_mels(paths, layout, convention, progress, failed), convention)
    with failures(), atomic_write(options.out) as temporary:
        temporary.write_text(statistics.to_json(), encoding="utf-8")
    seconds = statistics.n_frames * convention.hop_length / convention.sample_rate
    n_files = len(paths) - len(failed)
    files = "1 file" if n_files == 1 else f"{n_files} files"
    print(f"{options.out}: {files}, {seconds:.0f} s of sound without pauses")
    return EXIT_FAILED if failed else EXIT_OK


def _files(path: Path) -> Sequence[Path]:
    check_exists(path)
    if not path.is_dir():
        return [path]
    files = find_mels(path, AUDIO_SUFFIXES)
    if not files:
        raise FileError(f"the folder {path} contains no mel or audio file")
    return files


def _entries(path: Path, layout: MelLayout) -> Sequence[MelEntry]:
    """Return the mels of a file; one entry for audio, and for a file that cannot be read."""
    try:
        is_audio = path.suffix.lower() in AUDIO_SUFFIXES
        return [MelEntry(path)] if is_audio else mel_entries(path, layout)
    except TorchmelinvError:  # reading it gives the reason
        return [MelEntry(path)]


def _mels(
    paths: Sequence[MelEntry],
    layout: MelLayout,
    convention: MelConvention,
    progress: Progress,
    failed: list[str],
) -> Iterator[Tensor]:
    """Read mels, or compute those of recordings; collect the errors of files without one."""
    analysis = MelSpectrogram(convention)
    for entry in paths:
        path = entry.path
        try:
            with memory_errors(path):
                if path.suffix.lower() in AUDIO_SUFFIXES:
                    mel = analysis(load_waveform(path, convention)[0])
                else:
                    mel = check_mel_shape(read_mel(path, layout, entry), convention)
                    check_mel_values(mel, convention, None)
                check_memory(path, 8 * mel.nbytes)  # statistics are computed in double precision
        except TorchmelinvError as error:
            message = f"{path}: {str(error).removeprefix(f'{path} ')}"
            print_message("error", message)
            failed.append(message)
            continue
        yield mel
        progress.add(1, 1, mel.shape[-1] * convention.hop_length / convention.sample_rate)
