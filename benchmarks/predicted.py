"""`python -m benchmarks.predicted`: mels that acoustic models predicted, and mels smoothed by hand.

Opinion scores of FastSpeech 2 and Tacotron 2 mels, inverted as they are and after a restoration,
beside those of the models' own vocoder; closeness to recordings whose mels were blurred.
`--figure` draws spectrograms instead, `--waveforms FOLDER` writes the sounds. Needs the extras
`metrics` and `mos`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

import torchmelinv as tmi
from benchmarks import (
    predicted_bounds,
    predicted_material,
    predicted_recordings,
    records,
    sounds_figure,
    tables,
)
from benchmarks.predicted_material import METHODS, MODELS, NATIVE, Sentence, sentences
from benchmarks.recordings import AUDIO, PREDICTED
from benchmarks.records import Record
from torchmelinv.io.audio import write_audio
from torchmelinv.metrics import dnsmos, level_db, mel_error_db, opinion_scores
from torchmelinv.restoration import smoothness

FIGURE = records.RESULTS / "predicted.png"
PICTURED = {
    "librosa": "librosa",
    "exact": 'restore="none"',
    "default": "default",
    NATIVE: "their own vocoder",
}
FIGURE_SECONDS = 1.5
FIGURE_CELLS = (192, 200)  # fine enough for the harmonics of a voice
FIGURE_INCHES = (3.0, 3.0)  # of a panel


# DNSMOS, which depends on the level, is also computed at that of the vocoder for these methods.
LEVELED = ("exact", "default")


def mel_error(waveform: Tensor, mel: Tensor, analysis: tmi.MelSpectrogram) -> float:
    """Return the error of a waveform's mel in dB; frames that only one of them has do not count."""
    own = analysis.linear_mel(waveform)
    n_frames = min(own.shape[-1], mel.shape[-1])
    return float(mel_error_db(own[..., :n_frames], mel[..., :n_frames]))


def score(name: str, sentence: Sentence) -> Record:
    """Return all scores of a method for a sentence, by name."""
    start = time.process_time()
    waveform = predicted_material.waveform(name, sentence)
    seconds = time.process_time() - start
    convention, native = sentence.convention, sentence.native
    analysis = tmi.MelSpectrogram(convention)
    given = predicted_material.restored_mel("exact", sentence)
    restored = predicted_material.restored_mel(name, sentence)
    n_samples = min(len(waveform), len(native))
    level = level_db(waveform[:n_samples], native[:n_samples])
    values = {
        **opinion_scores(waveform, convention.sample_rate),
        "mel_error_db": mel_error(waveform, given, analysis),
        "restored_mel_error_db": mel_error(waveform, restored, analysis),
        "level_db": level,
        "smoothness": smoothness(analysis(waveform), convention).strength,
    }
    if name in LEVELED:
        values["dnsmos_at_level"] = dnsmos(waveform * 10 ** (-level / 20), convention.sample_rate)
    if name != NATIVE:
        values["seconds_per_second"] = seconds * convention.sample_rate / len(waveform)
    return {key: round(float(value), 4) for key, value in values.items()}


def measure(todo: Sequence[Sentence]) -> Record:
    """Return the smoothness and the scores of each sentence by method."""
    for name in METHODS:  # builds the tables before anything is timed
        predicted_material.waveform(name, todo[0])
    results = {}
    for sentence in tqdm(todo, unit="sentence"):
        estimate = smoothness(sentence.mel, sentence.convention)
        results[sentence.name] = {
            "model": MODELS[sentence.model],
            "smoothness": {key: round(float(each), 3) for key, each in estimate._asdict().items()},
            "scores": {name: score(name, sentence) for name in METHODS},
        }
    return results


def save_waveforms(todo: Sequence[Sentence], folder: Path) -> None:
    """Write the sounds of all methods as wav files."""
    folder.mkdir(parents=True, exist_ok=True)
    for sentence in tqdm(todo, unit="sentence"):
        for name in METHODS:
            path = folder / f"{sentence.name}_{name}.wav"
            waveform = predicted_material.waveform(name, sentence)
            write_audio(path, waveform, sentence.convention.sample_rate, "FLOAT")


def save_figure(sentence: Sentence) -> None:
    """Draw the beginning of a sentence, as several methods invert it."""
    rate = sentence.convention.sample_rate
    sounds = {
        title: predicted_material.waveform(name, sentence)[: round(FIGURE_SECONDS * rate)]
        for name, title in PICTURED.items()
    }
    row = sounds_figure.Row(rate, sounds)
    figure = sounds_figure.draw_rows([row], FIGURE_CELLS, FIGURE_INCHES)
    tmi.plot.save(figure, FIGURE)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write `results/predicted.json` and the tables, and print the bounds.

    Returns 2 if there are no predicted mels or no recordings.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.predicted", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--figure", action="store_true", help=f"only draw {FIGURE.name}")
    parser.add_argument("--waveforms", type=Path, help="only write the sounds into this folder")
    options = parser.parse_args(argv)
    todo = sentences()
    if not todo or not AUDIO.is_dir():
        message = "no mels in {} or no {}; set TORCHMELINV_SHARED to the folder that has both"
        print(message.format(PREDICTED, AUDIO), file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    torch.inference_mode().__enter__()
    if options.waveforms:
        save_waveforms(todo, options.waveforms)
    elif options.figure:
        save_figure(todo[0])
    else:
        _write(todo)
    return 0


def _write(todo: Sequence[Sentence]) -> None:
    record: Record = {"suite": "predicted", **records.environment()}
    start = time.perf_counter()
    record["sentences"] = measure(todo)
    record["speech"] = predicted_recordings.measure_speech()
    record["music"] = predicted_recordings.measure_music()
    record["minutes"] = round((time.perf_counter() - start) / 60, 1)
    record["targets"] = predicted_bounds.evaluate(record)
    records.save("predicted", record)
    tables.write_pages()
    for entry in record["targets"]:
        verdict = "reached    " if entry["reached"] else "NOT REACHED"
        print(f"{verdict} {entry['what']}: {entry['value']:.3f}")


if __name__ == "__main__":
    sys.exit(main())
