"""Sounds inverted by every phase method, initial phase, filterbank inverse and joint form."""

from __future__ import annotations

from tqdm import tqdm

import torchmelinv as tmi
from benchmarks import peers, rows
from benchmarks.records import Record
from benchmarks.rows import Row
from benchmarks.sounds_material import SOUNDS
from torchmelinv.metrics import sound_scores

CONVENTION = "hifigan_22k"
SECONDS = 2.0  # shorter than the other sounds, because RTISI-LA and LWS are slow
N_ITER = 32
# Sounds, and those of their measures that separate the methods.
MEASURES: dict[str, tuple[str, ...]] = {
    "white_noise": ("level_db", "upper_edge_db", "tonal_line_db", "periodicity", "crest_factor_db"),
    "vowel": ("pulse_depth_2_khz", "harmonics_to_noise_2_khz_db"),
    "speech": ("upper_edge_db", "onset_slope_db", "pre_echo_db"),
    "drums": ("tonal_line_db", "onset_slope_db", "pre_echo_db"),
}


def compared() -> list[Row]:
    """Return one row of each method and initial phase, with the default number of iterations."""
    others = [Row("clean", name, "random", N_ITER) for name in peers.PEERS]
    return [*(row for row in rows.all_methods() if row.n_iter == N_ITER), *others]


def measure() -> Record:
    """Return the measures by sound and key of the row."""
    results: Record = {}
    analysis = tmi.MelSpectrogram(CONVENTION)
    methods = {row.key: rows.method(row, CONVENTION) for row in compared()}
    for name, measures in tqdm(MEASURES.items(), unit="sound"):
        waveform = SOUNDS[name].make(analysis.convention, SECONDS)
        n_samples = analysis.convention.n_samples(analysis.convention.n_frames(len(waveform)))
        waveform = waveform[:n_samples]
        mel = analysis(waveform)
        results[name] = {}
        for key, invert in methods.items():
            scores = sound_scores(invert(mel, waveform), waveform, CONVENTION)
            values = {each: round(float(scores[each]), 3) for each in measures}
            results[name][key] = values
    return results
