"""Scores of generated files against their references: all metrics for each pair.

Two waveforms have all metrics; two mels, or a waveform and a mel, have those of `mel_scores`, frame
by frame and aligned. A waveform has opinion scores whatever its reference is. The scores of a pair
do not depend on the other pairs.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

import torch
from torch import Tensor

from torchmelinv._utils.available_memory import is_out_of_memory
from torchmelinv._utils.optional import require
from torchmelinv._utils.options import named_options
from torchmelinv._utils.validation import check_whole
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import MelConvention
from torchmelinv.corpus.batching import BatchLimit, batch_by_length, pad_stack
from torchmelinv.corpus.memory import bytes_per_frame, default_budget
from torchmelinv.corpus.pairs import Pair, PairData, is_silent, read_pair
from torchmelinv.errors import InputError, TorchmelinvError
from torchmelinv.metrics.alignment import aligned_mel_scores, score_aligned
from torchmelinv.metrics.fundamental_frequency import Track, compare_tracks, pitch_tracks
from torchmelinv.metrics.glossary import METRICS
from torchmelinv.metrics.long_term_spectrum import LOWEST_RATE
from torchmelinv.metrics.opinion import PACKAGES as OPINION_PACKAGES
from torchmelinv.metrics.perceptual import PACKAGES
from torchmelinv.metrics.scores import (
    mel_scores,
    opinion_scores,
    perceptual_scores,
    waveform_scores,
)

__all__ = ["ScoredPair", "evaluate"]

_MAX_ITEMS = 32  # of a batch on an accelerator
_MOST_MISALIGNMENT = 20.0  # ms, less than two frames of most conventions
NOT_SYNCHRONOUS = (
    "not in the same rhythm as the reference: frame by frame metrics compare different moments; "
    "read the aligned metrics"
)


@dataclasses.dataclass(frozen=True)
class ScoredPair:
    """A pair with its scores, or the reason why it has none.

    Args:
        pair: The pair.
        scores: Scores by the names of `METRICS`; NaN where a metric is not defined, as all are for
            a silent reference.
        notes: How the two were made comparable, and metrics without a finite value.
        error: The reason why there are no scores.

    Example:
        >>> from torchmelinv.corpus import Pair, ScoredPair
        >>> ScoredPair(Pair("a", None, None), {"mel_error_db": -30.0}).scores["mel_error_db"]
        -30.0
    """

    pair: Pair
    scores: dict[str, float] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: str | None = None


class _Evaluator:
    """Scores batches of pairs on one device."""

    def __init__(
        self,
        convention: MelConvention | str | os.PathLike[str],
        device: torch.device,
        perceptual: bool,
        opinion: bool,
        si_sdr: bool,
    ) -> None:
        self.cpu_mel_spectrogram = MelSpectrogram(convention)
        self.convention = self.cpu_mel_spectrogram.convention
        self.mel_spectrogram = MelSpectrogram(self.convention).to(device)
        self.device, self.perceptual, self.opinion = device, perceptual, opinion
        self.si_sdr = si_sdr

    def score(self, batch: Sequence[PairData]) -> list[ScoredPair]:
        """Score a batch of one kind; if memory runs out, each pair alone."""
        try:
            scores = self._scores(batch)
            return [_scored(data, each) for data, each in zip(batch, scores, strict=True)]
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        # Retry only here: the exception, now gone, held the tensors of the failed attempt.
        if len(batch) == 1:
            return [ScoredPair(batch[0].pair, error="not enough memory for this pair")]
        return [self.score([data])[0] for data in batch]

    def _scores(self, batch: Sequence[PairData]) -> list[dict[str, float]]:
        lengths = torch.tensor([data.length for data in batch])
        longest = int(lengths.max())
        generated = pad_stack([data.generated for data in batch], longest)
        reference = pad_stack([data.reference for data in batch], longest)
        inputs = generated.to(self.device), reference.to(self.device)
        counts = lengths.to(self.device)
        scores: dict[str, Tensor]
        tracks: tuple[Track | None, ...] = (None, None)
        if generated.ndim == 3:
            scores = mel_scores(*inputs, self.convention, lengths=counts)
        else:
            rate = self.convention.sample_rate
            scores = waveform_scores(*inputs, self.mel_spectrogram, lengths=counts)
            if not self.si_sdr:
                del scores["si_sdr_db"]
            if rate >= LOWEST_RATE:
                f0, reference_f0, n_frames = pitch_tracks(*inputs, rate, counts)
                scores |= compare_tracks(f0, reference_f0, n_frames)
                if len(batch) == 1:
                    tracks = (f0, reference_f0)
            if self.perceptual:
                scores |= perceptual_scores(generated, reference, rate, lengths=lengths)
        columns = {name: values.tolist() for name, values in scores.items()}
        rows = []
        for item, data in enumerate(batch):
            row = {name: column[item] for name, column in columns.items()}
            row |= self._aligned(data, tracks)
            if self.opinion:
                row |= self._opinions(data)
            rows.append({name: row[name] for name in METRICS if name in row})
        return rows

    def _aligned(self, data: PairData, tracks: Sequence[Track | None]) -> dict[str, float]:
        """Return the scores after time alignment; none if the files are too long for it.

        A track of the fundamental frequency, (1, frames), is searched if it is None.
        """
        generated, reference = (each.to(self.device) for each in data.untrimmed)
        try:
            if generated.ndim == 2:
                return aligned_mel_scores(generated, reference, self.convention)
            known = [
                # The longer waveform was trimmed: the track of the whole may differ.
                (track[0][0], track[1][0]) if track and each.shape[-1] == data.length else None
                for each, track in zip(data.untrimmed, tracks, strict=True)
            ]
            return score_aligned(generated, reference, self.mel_spectrogram, known)
        except InputError:
            return {}

    def _opinions(self, data: PairData) -> dict[str, float]:
        """Return the opinion scores of the generated waveform and of the recording, if any."""
        recording = data.reference if data.pair.has_waveforms else None
        return {
            f"{prefix}{name}": float(value)
            for prefix, waveform in (("", data.waveform), ("reference_", recording))
            if waveform is not None
            for name, value in opinion_scores(waveform, self.convention.sample_rate).items()
        }


def _scored(data: PairData, scores: dict[str, float]) -> ScoredPair:
    notes = list(data.notes)
    if is_silent(data.reference):
        scores = dict.fromkeys(scores, math.nan)
        notes.append("reference: silent, so no metric is defined")
        return ScoredPair(data.pair, scores, tuple(notes))
    if is_silent(data.generated):
        notes.append("generated: silent")
        return ScoredPair(data.pair, scores, tuple(notes))
    if scores.get("misalignment_ms", 0) > _MOST_MISALIGNMENT:
        notes.append(NOT_SYNCHRONOUS)
    undefined = [name for name, value in scores.items() if not math.isfinite(value)]
    if undefined:
        labels = (METRICS[name].label.partition(",")[0] for name in undefined)
        notes.append(f"no finite value of {', '.join(labels)}")
    return ScoredPair(data.pair, scores, tuple(notes))


@named_options
def evaluate(
    pairs: Iterable[Pair],
    convention: MelConvention | str | os.PathLike[str],
    *,
    device: torch.device | str = "cpu",
    perceptual: bool = True,
    opinion: bool = False,
    si_sdr: bool = False,
    batch: int | None = None,
    progress: Callable[[float], None] | None = None,
    save: Callable[[ScoredPair], None] | None = None,
) -> list[ScoredPair]:
    """Score pairs of generated and reference files. The channels of audio are mixed to one.

    Args:
        pairs: Pairs, from `pair_files`.
        convention: The convention of the mels: a `MelConvention`, a preset's name, or the path of a
            JSON file.
        device: Where scores are computed; PESQ, ESTOI and opinion scores always run on the CPU.
        perceptual: Compute PESQ and ESTOI too.
        opinion: Compute DistillMOS, DNSMOS and PLCMOS too, of each generated waveform and of the
            recording that it is compared with. They take about a second for a second of audio.
        si_sdr: Compute the SI-SDR too. It compares samples, so it is meant for waveforms that keep
            the reference's phase, which no waveform from a mel does.
        batch: Most pairs in a batch. Default: 32, on the CPU 1.
        progress: Called after each pair with its seconds of audio. None: no calls.
        save: Called with each pair as soon as it has its scores or an error. None: no calls.

    Returns:
        The pairs in their order, with scores or an error.

    Raises:
        DependencyError: If `perceptual` is set and the extra ``metrics`` is not installed, or
            `opinion` and the extra ``mos`` is not.
        ConventionError: If there is no such convention.
        InputError: If `batch` is below 1.

    Example:
        >>> import tempfile, torch, torchmelinv as tmi
        >>> from pathlib import Path
        >>> from torchmelinv.corpus import evaluate, pair_files
        >>> mel = tmi.MelSpectrogram("hifigan_22k")(torch.randn(8000))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.save(mel, Path(folder, "generated.pt"))
        ...     torch.save(mel + 0.1, Path(folder, "reference.pt"))
        ...     pairs = pair_files(Path(folder, "generated.pt"), Path(folder, "reference.pt"))
        ...     scored = evaluate(pairs, "hifigan_22k", perceptual=False)
        >>> round(scored[0].scores["log_mel_l1"], 3)
        0.1
    """
    if batch is not None:
        check_whole("batch", batch, 1)
    for package in PACKAGES if perceptual else ():
        require(package, "metrics")
    for package in OPINION_PACKAGES if opinion else ():
        require(package, "mos")
    pairs, device = list(pairs), torch.device(device)
    evaluator = _Evaluator(convention, device, perceptual, opinion, si_sdr)
    convention = evaluator.convention
    max_items = batch or (1 if device.type == "cpu" else _MAX_ITEMS)
    limit = BatchLimit(max_items, default_budget(device) // bytes_per_frame(convention))
    results: dict[Pair, ScoredPair] = {}

    def add(result: ScoredPair, n_frames: int = 0) -> None:
        results[result.pair] = result
        if save is not None:
            save(result)
        if progress is not None:
            progress(n_frames * convention.hop_length / convention.sample_rate)

    def n_frames(data: PairData) -> int:
        return data.n_frames(convention)

    def readable(has_waveforms: bool) -> Iterator[PairData]:
        for pair in pairs:
            if pair.has_waveforms != has_waveforms:
                continue
            if pair.error:
                add(ScoredPair(pair, error=pair.error))
                continue
            try:
                yield read_pair(pair, evaluator.cpu_mel_spectrogram)
            except TorchmelinvError as error:
                add(ScoredPair(pair, error=str(error)))

    for has_waveforms in (True, False):  # a batch holds either waveforms or mels
        for group in batch_by_length(readable(has_waveforms), n_frames, limit):
            for data, result in zip(group, evaluator.score(group), strict=True):
                add(result, 0 if result.error else n_frames(data))
    return [results[pair] for pair in pairs]
