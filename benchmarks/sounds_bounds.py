"""Bounds for the faults of the sounds: each has a value, and is reached or not."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Iterator

from benchmarks.records import Record
from benchmarks.sounds_material import SOUNDS

LEVEL_DB = 0.3  # of noise
# Above the original or the inversion from random phases: for clean noise whichever is lower, for
# recordings and degraded mels whichever is higher, because a mel that was blurred says more energy.
EDGE_DB = 3.0
PERIODICITY = 0.1  # of a flat mel
CREST_DB = 2.0  # of noise
LINE_DB = 8.0  # of noise: two independent noises have about 4, a whistle has 10 and more
CORRELATION_LOSS = {"stereo_speech": 0.02, "stereo_strings": 0.14}
DOWNMIX_DB = 1.0  # of stereo channels
_NOISES = ("white_noise", "pink_noise", "hiss")
# With an offset, the mel error may be 3 dB above that without, or this. It lies in the bands below
# 150 Hz, where the ear is 20 dB less sensitive, so nobody hears it 35 dB below a voice; the rest of
# the mel is as close as without. A bound relative to the error without offset alone would punish a
# method for being closer there.
OFFSET_DB, OFFSET_ERROR_DB = 3.0, -35.0
MODULATION_DB = 2.0  # of a stream of noise at the hop


def evaluate(results: Record, presets: Record) -> list[Record]:
    """Return each upper bound with its value, as {what, value, bound, reached}."""
    return [*_noise(results), *_edges(results), *_channels(results), *_presets(presets)]


def _presets(presets: Record) -> Iterator[Record]:
    noise = presets["noise"]
    entry = functools.partial(_entry, "white noise, all presets and few bands")
    levels = [abs(values["level_db"]) for values in noise.values()]
    yield entry("mean of all", "size of the level, dB", statistics.fmean(levels), LEVEL_DB)
    for name, values in noise.items():
        bound = EDGE_DB + min(0, values["upper_edge_of_random_db"])
        yield entry(name, "upper edge, dB", values["upper_edge_db"], bound)
        modulation = values["hop_modulation_of_stream_db"]
        yield entry(name, "modulation of the stream at the hop, dB", modulation, MODULATION_DB)
    for name, errors in presets["offsets"].items():
        without = errors["0.0"]
        for offset, error in errors.items():
            case = f"voice with an offset of {offset}, reflecting padding"
            if error != without:
                bound = max(without + OFFSET_DB, OFFSET_ERROR_DB)
                yield _entry(case, name, "mel error, dB", error, bound)


def _entry(case: str, convention: str, measure: str, value: float, bound: float) -> Record:
    what = f"{case}: {measure} ({convention})"
    return {"what": what, "value": value, "bound": round(bound, 3), "reached": value <= bound}


def _each(results: Record, name: str) -> Iterator[tuple[str, str, Record]]:
    """Return convention, mel, and the scores by method of a sound that was measured."""
    for convention, mels in results.get(name, {}).items():
        for mel, methods in mels.items():
            yield convention, mel, methods


def _noise(results: Record) -> Iterator[Record]:
    for convention, mel, methods in _each(results, "white_noise"):
        default, stream = methods["default"], methods["stream"]
        entry = functools.partial(_entry, f"white noise, {mel}", convention)
        yield entry("size of the crest factor, dB", abs(default["crest_factor_db"]), CREST_DB)
        yield entry("tonal line, dB", default["tonal_line_db"], LINE_DB)
        if mel == "flat":
            yield entry("periodicity at n_fft", default["periodicity"], PERIODICITY)
        else:
            yield entry("size of the level, dB", abs(default["level_db"]), LEVEL_DB)
            value = stream["hop_modulation_db"]
            yield entry("modulation of the stream at the hop, dB", value, MODULATION_DB)


def _edges(results: Record) -> Iterator[Record]:
    for name, sound in SOUNDS.items():
        for convention, mel, methods in _each(results, name):
            if "upper_edge_db" in sound.measures and mel != "flat":
                is_noise = name in _NOISES and mel == "clean"
                better = min if is_noise else max
                bound = EDGE_DB + better(0, methods["random"]["upper_edge_db"])
                value = methods["default"]["upper_edge_db"]
                case = f"{sound.label}, {mel}"
                yield _entry(case, convention, "upper edge, dB", value, bound)


def _channels(results: Record) -> Iterator[Record]:
    for name, sound in SOUNDS.items():
        for convention, mel, methods in _each(results, name):
            if sound.is_stereo:
                for name_of_method in ("default", "stream"):
                    scores = methods[name_of_method]
                    entry = functools.partial(
                        _entry, f"{sound.label}, {mel}, {name_of_method}", convention
                    )
                    loss = -scores["channel_correlation"]
                    yield entry("loss of channel correlation", loss, CORRELATION_LOSS[name])
                    level = abs(scores["downmix_level_db"])
                    yield entry("size of the mono level, dB", level, DOWNMIX_DB)
