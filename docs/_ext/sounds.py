"""`{sounds} NAME`: players and spectrograms of a sound and its inversions, made by the build.

The sounds are the synthetic voice of the package and the recordings, if any, in the folder that
TORCHMELINV_DOCS_AUDIO names. They are written to `_generated/sounds`, and kept as long as neither
the package nor this file nor the recordings change.
"""

from __future__ import annotations

import hashlib
import html
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import soundfile
import torch
from docutils import nodes
from matplotlib.figure import Figure
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from torch import Tensor

import torchmelinv as tmi
from torchmelinv.io.audio import read_audio
from torchmelinv.io.audio_formats import AUDIO_SUFFIXES
from torchmelinv.metrics import estoi, mel_error_db
from torchmelinv.synthetic_voice import signal
from torchmelinv.transforms.compression import decompress

GENERATED = Path(__file__).parent.parent / "_generated"
FOLDER = GENERATED / "sounds"
RECORDINGS = os.environ.get("TORCHMELINV_DOCS_AUDIO", "")
CONVENTION = "hifigan_22k"
SECONDS = 5.0  # of a recording
RANGE_DB = 70.0
logger = logging.getLogger(__name__)


class Version(NamedTuple):
    """A sound on the page: a title, a sentence and the waveform."""

    title: str
    note: str
    waveform: Tensor


class Section(NamedTuple):
    """A heading, and the versions of one sound below it."""

    title: str
    versions: list[Version]


def _inversions(waveform: Tensor, kind: str) -> list[Version]:
    """Invert the mel of a waveform by the libraries and by this package."""
    # `make docs` has them both; readers of other modules need not wait for their import.
    from benchmarks import mels, peers

    convention = tmi.preset(CONVENTION)
    waveform = waveform[: convention.n_samples(convention.n_frames(len(waveform)))]
    mel = mels.degrade(tmi.MelSpectrogram(convention)(waveform), kind, convention)
    linear_mel = decompress(mel, convention.level)

    def invert(**options: Any) -> Tensor:
        return tmi.MelInverter(convention, **options)(mel)

    of_peers: dict[str, Callable[[Tensor], Tensor]] = {
        name: peers.inverter(name, convention) for name in peers.PEERS
    }
    versions = [Version("original", "the sound whose mel is inverted", waveform)]
    for name, function in of_peers.items():
        note = "non-negative least squares, Griffin-Lim"
        if name == "torchaudio":
            note = note.replace("non-negative ", "")
        versions.append(Version(name, note, function(linear_mel)))
    cascade = invert(phase="fast_griffin_lim", init="random", restore="none")
    note = "the entropic magnitude, Griffin-Lim"
    versions.append(Version("cascade", note, cascade))
    if kind == "clean":
        versions.append(Version("default", "mel and waveform together", invert()))
    else:
        exact = invert(restore="none")
        versions.append(Version('restore="none"', "the blurred mel, inverted exactly", exact))
        versions.append(Version("default", "sharpened by as much as it was blurred", invert()))
    return versions


def _recordings() -> dict[str, Path]:
    paths = sorted(Path(RECORDINGS).iterdir()) if RECORDINGS else []
    return {path.stem: path for path in paths if path.suffix.lower() in AUDIO_SUFFIXES}


def _sections() -> Iterator[tuple[str, Section]]:
    """Yield the name and the sounds of each section."""
    rate = tmi.preset(CONVENTION).sample_rate
    voice = signal(sample_rate=rate)
    yield "voice", Section("A synthetic voice", _inversions(voice, "clean"))
    yield "blurred", Section("Its mel, blurred", _inversions(voice, "blurred"))
    for name, path in _recordings().items():
        waveform = read_audio(path, rate)[0].mean(0)[: int(SECONDS * rate)]
        yield name, Section(name.replace("_", " "), _inversions(waveform, "clean"))


def spectrogram_db(waveform: Tensor, sample_rate: float) -> Tensor:
    """Return the magnitude below 8 kHz in dB relative to its peak, (n_freqs, n_frames)."""
    n_fft, hop_length = 1024, 128
    window = torch.hann_window(n_fft)
    spectrum = torch.stft(waveform, n_fft, hop_length, window=window, return_complex=True).abs()
    rows = int(8000 / sample_rate * n_fft)
    return 20 * (spectrum[:rows] / spectrum.max()).clamp(min=10 ** (-RANGE_DB / 20)).log10()


def _draw(waveform: Tensor, sample_rate: float) -> Figure:
    figure = Figure(figsize=(4.2, 2.2), dpi=110, layout="constrained", facecolor="white")
    axis = figure.subplots()
    extent = (0, len(waveform) / sample_rate, 0, 8)
    levels = spectrogram_db(waveform, sample_rate)
    axis.imshow(levels, origin="lower", aspect="auto", extent=extent, cmap="magma")
    axis.set_xlabel("time (s)", fontsize=8)
    axis.set_ylabel("frequency (kHz)", fontsize=8)
    axis.tick_params(labelsize=8)
    return figure


def _scores(waveform: Tensor, reference: Tensor, rate: float) -> dict[str, str]:
    """Return scores of an inversion against the original."""
    length = min(len(waveform), len(reference))
    waveform, reference = waveform[:length], reference[:length]
    linear_mel = tmi.MelSpectrogram(CONVENTION).linear_mel
    error = mel_error_db(linear_mel(waveform), linear_mel(reference))
    return {
        "mel error": f"{float(error):.1f} dB".replace("-", "−"),
        "ESTOI": f"{float(estoi(waveform, reference, rate)):.2f}",
    }


def _write_section(name: str, section: Section) -> dict[str, Any]:
    rate = tmi.preset(CONVENTION).sample_rate
    rows = []
    for index, (title, note, waveform) in enumerate(section.versions):
        stem = f"{name}_{index}"
        samples = waveform / waveform.abs().max().clamp(min=1)
        soundfile.write(FOLDER / f"{stem}.mp3", samples.numpy(), int(rate), format="MP3")
        _draw(waveform, rate).savefig(FOLDER / f"{stem}.png")
        scores = _scores(waveform, section.versions[0].waveform, rate) if index else {}
        rows.append({"title": title, "note": note, "stem": stem, "scores": scores})
    return {"title": section.title, "rows": rows}


def _fingerprint() -> str:
    """Return a hash of all that the sounds depend on."""
    package = Path(tmi.__file__).parent
    sources = [Path(__file__), *sorted(package.rglob("*.py")), *_recordings().values()]
    digest = hashlib.sha256()
    for path in sources:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def write_sounds(app: Sphinx) -> None:
    """Make all sounds, unless they are there and current."""
    listing = FOLDER / "sounds.json"
    fingerprint = _fingerprint()
    if listing.exists() and json.loads(listing.read_text())["fingerprint"] == fingerprint:
        return
    FOLDER.mkdir(parents=True, exist_ok=True)
    sections = {}
    for name, section in _sections():
        logger.info("making the sounds of %s", name)
        sections[name] = _write_section(name, section)
    listing.write_text(json.dumps({"fingerprint": fingerprint, "sections": sections}, indent=1))


def _figure(row: dict[str, Any], static: str) -> str:
    title, note = html.escape(row["title"]), html.escape(row["note"])
    scores = ", ".join(f"{name} {value}" for name, value in row["scores"].items())
    path = f"{static}/sounds/{row['stem']}"
    return (
        f"<figure><figcaption><strong>{title}</strong><br>{note}</figcaption>"
        f'<img src="{path}.png" alt="Spectrogram: {title}" loading="lazy">'
        f'<audio controls preload="none" src="{path}.mp3" aria-label="{title}"></audio>'
        f"<small>{scores or '&nbsp;'}</small></figure>"
    )


class Sounds(SphinxDirective):
    """Show one section, or with `recordings` those of all recordings."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        listing = FOLDER / "sounds.json"
        self.env.note_dependency(str(listing))
        sections = json.loads(listing.read_text())["sections"]
        (requested,) = self.arguments
        sections["first"] = {
            "title": "",
            "rows": sections["voice"]["rows"][:: len(sections["voice"]["rows"]) - 1],
        }
        own = {"first", "voice", "blurred"}
        names = (
            [name for name in sections if name not in own]
            if requested == "recordings"
            else [requested]
        )
        static = "../" * self.env.docname.count("/") + "_static"
        parts: list[nodes.Node] = []
        for name in names:
            if requested == "recordings":
                parts.append(nodes.rubric(text=sections[name]["title"]))
            figures = "".join(_figure(row, static) for row in sections[name]["rows"])
            markup = f'<div class="sounds">{figures}</div>'
            parts.append(nodes.raw("", markup, format="html"))
        return parts


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", write_sounds)
    app.add_directive("sounds", Sounds)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
