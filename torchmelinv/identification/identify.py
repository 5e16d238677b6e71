"""Find out how a mel of unknown origin was made: orientation, logarithm, floor and presets."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from torchmelinv.errors import InputError
from torchmelinv.identification.candidate import (
    Candidate,
    preset_conventions,
    score_presets,
    with_bands,
)
from torchmelinv.identification.logarithm import find_logarithm
from torchmelinv.identification.scoring import FITS, POSSIBLE, ValueStatistics
from torchmelinv.restoration.smoothing import smoothness

__all__ = ["Identification", "identify"]

_INDISTINCT = 3.0  # scores that differ by less are no reason to prefer one preset


@dataclasses.dataclass(frozen=True)
class Identification:
    """What the values of a mel reveal about how it was made.

    Args:
        shape: Shape of the mel as it was given.
        dtype: Name of its dtype.
        n_mels: Number of bands.
        n_frames: Number of frames.
        transposed: Whether the mel was given as (…, n_frames, n_mels).
        perhaps_transposed: Whether presets have as many bands as either dimension. The mel was
            then read as (…, n_mels, n_frames).
        n_not_finite: Number of entries that are NaN or infinite. All fields below ignore their
            frames.
        minimum: Lowest value.
        maximum: Highest value.
        mean: Mean value.
        deviation: Standard deviation of the values.
        share_at_minimum: Share of the entries that equal the minimum; 0 if so few may be chance.
        log: ``"ln"``, ``"log10"``, ``"dB"``, ``"linear"``, ``"normalized"`` or ``"unknown"``.
        floor: Floor of the linear mel, or None if it does not show.
        reason: The evidence for `log` and `floor`.
        smoothness: How much the mel was smoothed, from 0 (as rough as that of a sound) to 1, if the
            first of `best` made it; None if there is none. See `restoration.smoothness`.
        candidates: A candidate for each preset, best first.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = tmi.MelSpectrogram("vocos_24k")(torch.zeros(24000))
        >>> identification = tmi.identify(mel)
        >>> identification.log, identification.floor
        ('ln', 1e-07)
    """

    shape: tuple[int, ...]
    dtype: str
    n_mels: int
    n_frames: int
    transposed: bool
    perhaps_transposed: bool
    n_not_finite: int
    minimum: float
    maximum: float
    mean: float
    deviation: float
    share_at_minimum: float
    log: str
    floor: float | None
    reason: str
    smoothness: float | None
    candidates: tuple[Candidate, ...] = dataclasses.field(repr=False)

    @property
    def best(self) -> tuple[Candidate, ...]:
        """The candidates that agree best and equally well; empty if none is at least possible."""
        return _best(self.candidates)


def _best(candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    first = candidates[0]
    if first.verdict not in (FITS, POSSIBLE):
        return ()
    least = first.score - _INDISTINCT
    return tuple(
        each for each in candidates if each.verdict == first.verdict and each.score > least
    )


def identify(mel: Tensor) -> Identification:
    """Find out how a mel of unknown origin was made.

    The cost is a few passes over the values for each preset with that number of bands.

    Args:
        mel: Mel (…, n_mels, n_frames) of any real dtype. One of shape (…, n_frames, n_mels) is
            recognized if only that dimension is a number of bands that presets have.

    Returns:
        Orientation, statistics, likely logarithm and floor, and a verdict on each preset. `best`
        holds the presets that fit best; ``best[0].convention`` is what `convert` takes.

    Raises:
        InputError: If the mel is not a real tensor with at least one finite frame.

    Shape:
        - mel: (…, n_mels, n_frames)

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = tmi.MelSpectrogram("whisper_80")(torch.zeros(8000))
        >>> identification = tmi.identify(mel.mT)
        >>> identification.transposed, identification.n_mels, identification.n_frames
        (True, 80, 50)
    """
    if not isinstance(mel, Tensor) or mel.ndim < 2 or mel.numel() == 0 or mel.is_complex():
        given = type(mel).__name__
        if isinstance(mel, Tensor):
            given = f"{mel.dtype} of shape {tuple(mel.shape)}"
        raise InputError(
            f"the mel to identify is {given}; it must be a real tensor (…, n_mels, n_frames) that "
            "is not empty (torch.as_tensor makes one of an array)"
        )
    conventions = preset_conventions()
    band_counts = {each.convention.n_mels for each in conventions}
    values, transposed = mel.detach().cpu(), False
    if values.shape[-2] not in band_counts and values.shape[-1] in band_counts:
        values, transposed = values.mT, True
    n_mels, n_frames = values.shape[-2:]
    values = values.double().reshape(-1, n_mels, n_frames)
    finite = torch.isfinite(values)
    if not finite.all():
        values = values.mT[finite.all(1)].T[None]
    if values.numel() == 0:
        raise InputError(
            f"every frame of the mel of shape {tuple(mel.shape)} holds NaN or Inf: "
            "nothing is left to identify"
        )
    precision = torch.finfo(mel.dtype).eps if mel.is_floating_point() else 0.0
    statistics = ValueStatistics(values, precision)
    candidates = tuple(score_presets(statistics, with_bands(conventions, n_mels)))
    if not _best(candidates):  # no reason then to suppose another number of bands
        candidates = tuple(score_presets(statistics, conventions))
    best = _best(candidates)
    guess = find_logarithm(statistics, best)
    strength = None
    if best:
        strength = float(smoothness(values, best[0].convention).strength.mean())
    return Identification(
        shape=tuple(mel.shape),
        dtype=str(mel.dtype).removeprefix("torch."),
        n_mels=n_mels,
        n_frames=n_frames,
        transposed=transposed,
        perhaps_transposed=n_mels in band_counts and n_frames in band_counts,
        n_not_finite=int((~finite).sum()),
        minimum=statistics.minimum,
        maximum=statistics.maximum,
        mean=float(values.mean()),
        deviation=float(values.std(correction=0)),
        share_at_minimum=statistics.lowest_share,
        log=guess.log,
        floor=guess.floor,
        reason=guess.reason,
        smoothness=strength,
        candidates=candidates,
    )
