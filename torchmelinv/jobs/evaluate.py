"""Generated sounds against their references: every pair scored by every metric that it allows, and the means of all.

Two waveforms have all metrics, two mels, or a waveform and a mel, those of `mel_scores`. What a pair gets does not depend on
the others.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch

from torchmelinv.analysis import MelAnalyzer
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import TorchmelinvError
from torchmelinv.files import require
from torchmelinv.jobs.batches import Limit, batches, stacked
from torchmelinv.jobs.memory import bytes_per_frame, out_of_memory, usual_budget
from torchmelinv.jobs.pairs import Pair, Sounds, read_pair
from torchmelinv.measure.perceptual import PACKAGES
from torchmelinv.measure.scores import METRICS, Mean, bootstrap_mean, mel_scores, perceptual_scores, waveform_scores

_ITEMS = 32  # of a batch on an accelerator


@dataclasses.dataclass(frozen=True)
class Scored:
    """A pair and its scores by the names of `METRICS`; NaN or infinite where one is not defined, empty where `error` stands."""

    pair: Pair
    scores: dict[str, float] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: str | None = None


def _scores(batch: Sequence[Sounds], analyzer: MelAnalyzer, device: torch.device, perceptual: bool) -> list[dict[str, float]]:
    lengths = torch.tensor([sounds.length for sounds in batch])
    longest = int(lengths.max())
    generated = stacked([sounds.generated for sounds in batch], longest)
    reference = stacked([sounds.reference for sounds in batch], longest)
    moved = [each.to(device) for each in (generated, reference, lengths)]
    if generated.ndim == 2:
        found = waveform_scores(moved[0], moved[1], analyzer, lengths=moved[2])
        if perceptual:
            found |= perceptual_scores(generated, reference, analyzer.convention.sample_rate, lengths=lengths)
    else:
        found = mel_scores(moved[0], moved[1], analyzer.convention, lengths=moved[2])
    columns = {name: found[name].tolist() for name in METRICS if name in found}
    return [{name: column[item] for name, column in columns.items()} for item in range(len(batch))]


def _scored(sounds: Sounds, scores: dict[str, float]) -> Scored:
    notes = list(sounds.notes)
    if sounds.silent:
        scores = dict.fromkeys(scores, math.nan)
        notes.append("reference: silent, so that nothing is defined relative to it")
    elif undefined := [METRICS[name].label for name, value in scores.items() if not math.isfinite(value)]:
        notes.append(f"no finite {', '.join(undefined)}")
    return Scored(sounds.pair, scores, tuple(notes))


def evaluate(
    pairs: Iterable[Pair], convention: MelConvention | str, *, device: torch.device | str = "cpu", perceptual: bool = True,
    batch: int | None = None, progress: Callable[[float], None] = lambda seconds: None,
) -> list[Scored]:
    """Score each pair; in the order of `pairs`, those that cannot be with the reason.

    `perceptual`: with PESQ and ESTOI, which need the extra `metrics`. `batch` pairs at most go to the device together, by
    default one on the CPU and as many as fit on others. `progress` is called after each pair, with its seconds of audio.
    """
    for package in PACKAGES if perceptual else ():
        require(package, "metrics")
    pairs, device = list(pairs), torch.device(device)
    on_host = MelAnalyzer(convention)
    analyzer = MelAnalyzer(on_host.convention).to(device)
    most = batch or (1 if device.type == "cpu" else _ITEMS)
    frames = usual_budget(device) // bytes_per_frame(on_host.convention)
    found: dict[Pair, Scored] = {}

    def done(scored: Scored, frames: int = 0) -> None:
        found[scored.pair] = scored
        progress(frames * on_host.convention.hop_length / on_host.convention.sample_rate)

    def readable(waveforms: bool) -> Iterator[Sounds]:
        for pair in (pair for pair in pairs if pair.waveforms == waveforms):
            if pair.error:
                done(Scored(pair, error=pair.error))
                continue
            try:
                yield read_pair(pair, on_host)
            except TorchmelinvError as error:
                done(Scored(pair, error=str(error)))

    def score(group: Sequence[Sounds]) -> None:
        try:
            rows = _scores(group, analyzer, device, perceptual)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            rows = []
        # Only here, where the error is gone, is what the attempt held free.
        if rows:
            for sounds, scores in zip(group, rows, strict=True):
                done(_scored(sounds, scores), sounds.n_frames(on_host.convention))
        elif len(group) == 1:
            done(Scored(group[0].pair, error="there was not enough memory for it"))
        else:
            for sounds in group:
                score([sounds])

    for waveforms in (True, False):  # a batch is of one kind
        for group in batches(readable(waveforms), lambda sounds: sounds.n_frames(on_host.convention), Limit(most, frames)):
            score(group)
    return [found[pair] for pair in pairs]


def means(scored: Iterable[Scored]) -> dict[str, Mean]:
    """The mean of each metric over the pairs that have it, with its bootstrap interval, in the order of `METRICS`."""
    scored = list(scored)
    columns = {name: [each.scores[name] for each in scored if name in each.scores] for name in METRICS}
    return {name: bootstrap_mean(column) for name, column in columns.items() if column}
