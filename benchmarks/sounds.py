"""`python -m benchmarks.sounds`: faults of sounds that PESQ, ESTOI and mel errors do not show.

Noise, sustained and transient sounds are inverted from clean, smoothed and cepstral mels, some of
them by every phase method.
`--seconds 1` is a trial run. `--figure` draws spectrograms instead; the waveforms of an earlier
version, written by `--waveforms FOLDER`, can stand beside them as `--before FOLDER`.
"""

from __future__ import annotations

import argparse
import functools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

import torchmelinv as tmi
from benchmarks import (
    mels,
    peers,
    records,
    sounds_bounds,
    sounds_figure,
    sounds_methods,
    sounds_presets,
    tables,
)
from benchmarks.recordings import AUDIO
from benchmarks.records import CheckFailed, Record
from benchmarks.sounds_figure import Panel
from benchmarks.sounds_material import SOUNDS, Sound
from torchmelinv.conventions import MelConvention, MfccConvention
from torchmelinv.functional import mel_to_mfcc, mfcc_to_mel
from torchmelinv.metrics import channel_scores, sound_scores
from torchmelinv.phases import MelConsistent
from torchmelinv.transforms.compression import compress, decompress

SECONDS = 3.0
FIGURE = records.RESULTS / "sounds.png"
PICTURED = {
    "white_noise": "audioldm_16k",
    "drums": "bigvgan_v2_44k_128_512x",
    "fricatives": "audioldm_16k",
}
METHODS = ("default", "time_structure", "random", "cascade", "stream", *peers.PEERS)


class Case(NamedTuple):
    """One mel of a sound."""

    name: str
    convention: str
    mel: str

    @property
    def sound(self) -> Sound:
        return SOUNDS[self.name]


@functools.lru_cache
def _analysis(name: str) -> tmi.MelSpectrogram:
    return tmi.MelSpectrogram(name)


def cases() -> Iterator[Case]:
    """Return all mels that are inverted."""
    for name, sound in SOUNDS.items():
        for convention in sound.conventions:
            kinds = sound.mels
            if convention == sound.conventions[0]:
                kinds = (*kinds, *sound.degraded)
            yield from (Case(name, convention, mel) for mel in kinds)


def reference(case: Case, seconds: float) -> Tensor:
    """Return the original sound, cut to the samples that its frames determine."""
    convention = tmi.preset(case.convention)
    waveform = case.sound.make(convention, seconds)
    return waveform[..., : convention.n_samples(convention.n_frames(waveform.shape[-1]))]


def degraded(mel: Tensor, kind: str, convention: MelConvention) -> Tensor:
    """Return a mel as it is, flat in time, blurred, or from its first MFCCs."""
    if kind == "clean":
        return mel
    if kind == "flat":
        mean = decompress(mel, convention.level).mean(-1, keepdim=True).expand_as(mel)
        return compress(mean, convention.level)
    name, number = kind.split(" ")
    if name == "blurred":
        return mels.degrade(mel, name, convention, blur=float(number))
    mfcc_convention = MfccConvention(mel=convention, n_mfcc=int(number))
    return mfcc_to_mel(mel_to_mfcc(mel, mfcc_convention), mfcc_convention)


def _stream(mel: Tensor, convention: MelConvention, channels: bool) -> Tensor:
    stream = tmi.StreamingInverter(convention, channels=channels)
    return torch.cat([stream.push(mel), stream.flush()], -1)


def _by_channel(function: Callable[[Tensor], Tensor], mel: Tensor) -> Tensor:
    """Apply a peer, which inverts one mel, to each channel."""
    channels = [function(each) for each in mel.reshape(-1, *mel.shape[-2:])]
    return torch.stack(channels).reshape(*mel.shape[:-2], -1)


@functools.lru_cache
def method(name: str, convention_name: str, channels: bool = False) -> Callable[[Tensor], Tensor]:
    """Return a function from mels to waveforms; `channels` is that of `MelInverter`.

    Raises ValueError or RuntimeError where a peer cannot invert these mels.
    """
    convention = tmi.preset(convention_name)
    if name == "stream":
        return functools.partial(_stream, convention=convention, channels=channels)
    if name in peers.PEERS:
        invert = peers.inverter(name, convention)
        return lambda mel: _by_channel(invert, decompress(mel, convention.level))
    if name == "random":
        return tmi.MelInverter(convention, init="random", channels=channels)
    if name == "time_structure":
        phase = MelConsistent(time_structure=1.0)
        return tmi.MelInverter(convention, phase=phase, channels=channels)
    if name == "cascade":
        options = {"phase": "fast_griffin_lim", "init": "random", "channels": channels}
        return tmi.MelInverter(convention, **options)
    return tmi.MelInverter(convention, channels=channels)


def score(case: Case, waveform: Tensor, expected: Tensor) -> Record:
    """Return the measures of a sound, by name."""
    if waveform.shape != expected.shape:
        raise CheckFailed(f"{case}: shape {waveform.shape} instead of {expected.shape}")
    if case.sound.is_stereo:
        values = channel_scores(waveform, expected)
    else:
        values = sound_scores(waveform, expected, case.convention)
    return {name: round(float(values[name]), 3) for name in case.sound.measures}


def measure(todo: Sequence[Case], seconds: float) -> tuple[Record, Record]:
    """Return the scores by sound, convention, mel and method, and the peers that were left out."""
    results: Record = {}
    absent: Record = {}
    for case in tqdm(todo, unit="mel"):
        expected = reference(case, seconds)
        mel = degraded(_analysis(case.convention)(expected), case.mel, tmi.preset(case.convention))
        scores = results.setdefault(case.name, {}).setdefault(case.convention, {})
        rows = scores.setdefault(case.mel, {})
        for name in METHODS:
            try:
                invert = method(name, case.convention, case.sound.is_stereo)
            except (RuntimeError, ValueError) as error:
                if name not in peers.PEERS:
                    raise
                absent.setdefault(case.convention, {})[name] = str(error)
                continue
            rows[name] = score(case, invert(mel), expected)
    return results, absent


def panels(seconds: float) -> dict[str, Panel]:
    """Return the sounds of the picture, inverted by default."""
    result = {}
    for name, convention in PICTURED.items():
        case = Case(name, convention, "clean")
        waveform, rate = reference(case, seconds), tmi.preset(convention).sample_rate
        inverted = method("default", convention)(_analysis(convention)(waveform))
        result[name] = Panel(case.sound.label, rate, waveform, inverted)
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write `results/sounds.json` and the tables, and print the bounds.

    Returns 2 if there are no recordings.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sounds", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--seconds", type=float, default=SECONDS, help="seconds of each sound")
    parser.add_argument("--figure", action="store_true", help=f"only draw {FIGURE.name}")
    parser.add_argument("--before", type=Path, help="folder of earlier waveforms for the figure")
    parser.add_argument("--waveforms", type=Path, help="only write the figure's waveforms here")
    options = parser.parse_args(argv)
    if not AUDIO.is_dir():
        message = "no {}; set TORCHMELINV_SHARED to the folder that has audio/"
        print(message.format(AUDIO), file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    torch.inference_mode().__enter__()
    if options.waveforms:
        sounds_figure.save_results(panels(options.seconds), options.waveforms)
    elif options.figure:
        figure = sounds_figure.draw(panels(options.seconds), options.before)
        tmi.plot.save(figure, FIGURE)
    else:
        _write(options.seconds)
    return 0


def _write(seconds: float) -> None:
    record: Record = {"suite": "sounds", **records.environment(), "seconds": seconds}
    start = time.perf_counter()
    record["methods"] = list(METHODS)
    record["results"], record["absent"] = measure(list(cases()), seconds)
    record["all_methods"] = sounds_methods.measure()
    record["presets"] = sounds_presets.measure()
    record["minutes"] = round((time.perf_counter() - start) / 60, 1)
    record["checks"] = sounds_bounds.evaluate(record["results"], record["presets"])
    records.save("sounds", record)
    tables.write_pages()
    for entry in record["checks"]:
        verdict = "reached    " if entry["reached"] else "NOT REACHED"
        print(f"{verdict} {entry['what']}: {entry['value']:.2f}, at most {entry['bound']:.2f}")


if __name__ == "__main__":
    sys.exit(main())
