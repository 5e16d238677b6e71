"""Bounds for the faults of the sounds: each has a value, and is reached or not."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from benchmarks.records import Record
from benchmarks.sounds_material import SOUNDS

LEVEL_DB = 0.3  # of noise
EDGE_DB = 3.0  # above the original or the inversion from random phases, whichever is lower
PERIODICITY = 0.1  # of a flat mel
CREST_DB = 2.0  # of noise
LINE_DB = 3.0  # of noise, above the cascade
CORRELATION_LOSS = {"stereo_speech": 0.02, "stereo_strings": 0.14}
DOWNMIX_DB = 1.0  # of stereo channels
MODULATION_DB = 2.0  # of a stream of noise at the hop


def evaluate(results: Record) -> list[Record]:
    """Return each upper bound with its value, as {what, value, bound, reached}."""
    return [*_noise(results), *_edges(results), *_channels(results)]


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
        line, of_cascade = (methods[each]["tonal_line_db"] for each in ("default", "cascade"))
        yield entry("tonal line, dB", line, of_cascade + LINE_DB)
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
                bound = EDGE_DB + min(0, methods["random"]["upper_edge_db"])
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
