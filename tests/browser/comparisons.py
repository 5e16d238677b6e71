"""Small comparisons with short sounds, for pages."""

from __future__ import annotations

from pathlib import Path

from torchmelinv.conventions.presets import preset
from torchmelinv.corpus import Comparison, Pair, ScoredPair, compare
from torchmelinv.io.audio import write_audio
from torchmelinv.synthetic_voice import signal

RATE = 22050
# A script to run before a page's own: it collects the audio elements that the page makes.
RECORD_SOUNDS = """
    window.sounds = [];
    const Original = window.Audio;
    window.Audio = function () {
        const sound = new Original();
        sounds.push(sound);
        return sound;
    };
"""


def make_comparison(
    folder: Path,
    names: list[str],
    systems: tuple[str, ...] = ("ours", "baseline"),
    seconds: float = 0.3,
    reference: bool = True,
) -> Comparison:
    """Write a short sound for the reference and for each system, the second and later ones softer.

    The scores of item i and system k are PESQ 4 − i/10 − k/2 and a mel error of −30 + i dB.
    """
    voice = signal(max(1.0, seconds))[: int(seconds * RATE)]
    original = folder / "reference.wav"
    write_audio(original, voice, RATE)
    scored: dict[str, list[ScoredPair]] = {}
    for number, system in enumerate(systems):
        path = folder / f"{number}.wav"
        write_audio(path, (0.5 if number else 1) * voice, RATE)
        scored[system] = [
            ScoredPair(
                Pair(name, path, original if reference else None),
                {"pesq_wb": 4 - index / 10 - number / 2, "mel_error_db": -30.0 + index},
                ("<b>resampled</b>",),
            )
            for index, name in enumerate(names)
        ]
    return compare(scored, preset("hifigan_22k"))
