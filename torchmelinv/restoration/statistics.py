"""Statistics of real mels, which predicted mels can be matched to."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable

import torch
from torch import Tensor

from torchmelinv._utils.options import named_options
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import as_convention
from torchmelinv.conventions.validated import ValidatedRecord, finite_floats
from torchmelinv.errors import InputError
from torchmelinv.restoration.band_contrast import band_mean
from torchmelinv.restoration.log_mel import log_magnitude, loud_frames, masked_mean
from torchmelinv.restoration.modulation_spectrum import N_MODULATIONS, modulation_power
from torchmelinv.transforms.compression import decompress
from torchmelinv.transforms.mel_checks import check_mel_shape, check_mel_values

__all__ = ["MelStatistics", "mel_statistics"]

_LEAST_FRAMES = 50  # half a second of most conventions
_LEAST_EXTENT = 1.0  # nepers from lowest to highest value; digital silence has less


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class MelStatistics(ValidatedRecord):
    """Statistics of log mels, natural logarithms of magnitude mels in nepers.

    Pauses do not count: frames whose loudest band is 5 nepers or more below the peak of their mel.
    ``to_json`` and ``from_json`` store them.

    Args:
        convention: The convention of the mels, or a dictionary of its fields.
        n_frames: Frames that count.
        band_mean: Mean of each band.
        band_deviation: Mean over mels of the standard deviation of each band about its mean in that
            mel, at least 0.
        modulation_power: Natural logarithm of the power of each modulation frequency, for each
            band; 33 frequencies from 0 to half the frame rate.

    Raises:
        ConventionError: If a field has no such value.

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mels = [tmi.MelSpectrogram("hifigan_22k")(torch.randn(22050)) for _ in range(3)]
        >>> statistics = tmi.restoration.mel_statistics(mels, "hifigan_22k")
        >>> tmi.restoration.MelStatistics.from_json(statistics.to_json()) == statistics
        True
    """

    convention: MelConvention
    n_frames: int
    band_mean: tuple[float, ...]
    band_deviation: tuple[float, ...]
    modulation_power: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        self._require_record("convention", MelConvention, "a MelConvention")
        self._require_number("n_frames", 1, whole=True)
        n_mels = self.convention.n_mels
        for field in ("band_mean", "band_deviation"):
            self._require(field, getattr(self, field) is not None, f"{n_mels} numbers")
            self._require_floats(field, n_mels)
        self._require("band_deviation", min(self.band_deviation) >= 0, "numbers ≥ 0")
        rows = self.modulation_power
        if isinstance(rows, (list, tuple)):
            rows = tuple(finite_floats(row) for row in rows)
        valid = isinstance(rows, tuple) and [len(row) for row in rows] == [N_MODULATIONS] * n_mels
        allowed = f"{n_mels} rows of {N_MODULATIONS} finite numbers"
        self._require("modulation_power", valid, allowed)
        object.__setattr__(self, "modulation_power", rows)

    def __repr__(self) -> str:
        # Thousands of numbers would hide all else; the digest tells one record from another.
        digest = hashlib.sha256(self.to_json().encode()).hexdigest()[:12]
        return f"MelStatistics(n_mels={self.n_mels}, n_frames={self.n_frames}, digest={digest!r})"

    @property
    def n_mels(self) -> int:
        """Number of bands."""
        return self.convention.n_mels

    def check(self, convention: MelConvention) -> None:
        """Refuse mels of another convention; only its compression may differ.

        Args:
            convention: The convention of the mels.

        Raises:
            InputError: If the statistics are of another convention.
        """
        own, other = (each.to_dict() for each in (self.convention, convention))
        differing = [
            f"{name} ({own[name]!r} instead of {other[name]!r})"
            for name in own
            if name != "level" and own[name] != other[name]
        ]
        if differing:
            raise InputError(
                f"the statistics are of mels of another convention: {', '.join(differing)}; "
                "compute them from mels of this one"
            )


@named_options
@torch.no_grad()
def mel_statistics(
    mels: Iterable[Tensor], convention: MelConvention | str | os.PathLike[str]
) -> MelStatistics:
    """Compute the statistics of real mels, such as those a network was trained on.

    A few minutes of speech suffice. Each item counts by its frames; digital silence does not.

    Args:
        mels: Mels (…, n_mels, n_frames) in the convention's values, one at a time.
        convention: The convention of the mels.

    Returns:
        The statistics.

    Raises:
        InputError: If there are fewer than 50 frames that are no pauses, or a mel does not fit the
            convention.
        ConventionError: If there is no such convention.

    Shape:
        - mels: (…, n_mels, n_frames), each

    Example:
        >>> import torch, torchmelinv as tmi
        >>> mel = tmi.MelSpectrogram("hifigan_22k")(torch.randn(4, 22050))
        >>> tmi.restoration.mel_statistics([mel], "hifigan_22k").n_frames
        344
    """
    settings = as_convention(convention)
    sums = torch.zeros(settings.n_mels, 2 + N_MODULATIONS, dtype=torch.float64)
    n_frames = 0
    for mel in mels:
        mel = check_mel_shape(mel, settings)
        check_mel_values(mel, settings, None)
        linear = decompress(mel.double(), settings.level).reshape(-1, *mel.shape[-2:])
        log_mel = log_magnitude(linear, settings.power).cpu()
        extent = log_mel.amax((-2, -1)) - log_mel.amin((-2, -1))
        log_mel = log_mel[extent > _LEAST_EXTENT]
        if len(log_mel) == 0:
            continue
        loud = loud_frames(log_mel, None)
        mean = band_mean(log_mel, None)
        variance = masked_mean((log_mel - mean).square(), loud.expand_as(log_mel), -1)
        values = torch.cat([mean, variance.sqrt(), modulation_power(log_mel, None)], -1)
        frames = loud.sum(-1, keepdim=True)
        sums += (values * frames).sum(0)
        n_frames += int(frames.sum())
    if n_frames < _LEAST_FRAMES:
        raise InputError(
            f"there are {n_frames} frames that are no pauses to compute statistics from; they need "
            f"{_LEAST_FRAMES} or more"
        )
    means = sums / n_frames
    tiny = torch.finfo(torch.float32).tiny
    return MelStatistics(
        convention=settings,
        n_frames=n_frames,
        band_mean=tuple(means[:, 0].tolist()),
        band_deviation=tuple(means[:, 1].tolist()),
        modulation_power=tuple(map(tuple, means[:, 2:].clamp(min=tiny).log().tolist())),
    )
