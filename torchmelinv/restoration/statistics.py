"""Statistics of real mels, which predicted mels can be matched to."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
from collections.abc import Iterable

import torch
from torch import Tensor

from torchmelinv._utils.options import named_options
from torchmelinv._utils.validation import check_real
from torchmelinv.conventions import MelConvention
from torchmelinv.conventions.presets import as_convention
from torchmelinv.conventions.validated import ValidatedRecord
from torchmelinv.errors import InputError
from torchmelinv.restoration.band_contrast import band_mean, loud_frames
from torchmelinv.restoration.log_mel import log_magnitude, masked_mean
from torchmelinv.restoration.modulation_spectrum import N_MODULATIONS, modulation_power
from torchmelinv.transforms.compression import decompress
from torchmelinv.transforms.mel_checks import check_mel_shape

__all__ = ["MelStatistics", "mel_statistics"]


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class MelStatistics(ValidatedRecord):
    """Statistics of log mels, natural logarithms of magnitude mels in nepers.

    Pauses do not count: frames whose loudest band is 5 nepers or more below the loudest of all.
    ``to_json`` and ``from_json`` store them.

    Args:
        frame_rate: Frames per second.
        n_frames: Frames that the statistics were computed from.
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

    frame_rate: float
    n_frames: int
    band_mean: tuple[float, ...]
    band_deviation: tuple[float, ...]
    modulation_power: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        self._require_number("frame_rate", 0, above=True)
        self._require_number("n_frames", 1, whole=True)
        self._require_floats("band_mean")
        self._require_floats("band_deviation", self.n_mels)
        smallest = min(self.band_deviation)
        self._require("band_deviation", smallest >= 0, "numbers ≥ 0")
        rows = self.modulation_power
        valid = isinstance(rows, Iterable) and not isinstance(rows, str)
        rows = tuple(tuple(map(float, row)) for row in rows) if valid else ()
        sizes = [len(row) for row in rows]
        finite = all(math.isfinite(value) for row in rows for value in row)
        self._require(
            "modulation_power",
            finite and sizes == [N_MODULATIONS] * self.n_mels,
            f"{self.n_mels} rows of {N_MODULATIONS} finite numbers",
        )
        object.__setattr__(self, "modulation_power", rows)

    def __repr__(self) -> str:
        # Thousands of numbers would hide all else; the digest tells one record from another.
        digest = hashlib.sha256(self.to_json().encode()).hexdigest()[:12]
        return f"MelStatistics(n_mels={self.n_mels}, n_frames={self.n_frames}, digest={digest!r})"

    @property
    def n_mels(self) -> int:
        """Number of bands."""
        return len(self.band_mean)

    def check(self, convention: MelConvention) -> None:
        """Refuse mels of other bands or another frame rate.

        Args:
            convention: The convention of the mels.

        Raises:
            InputError: If they do not fit these statistics.
        """
        rate = convention.sample_rate / convention.hop_length
        if self.n_mels != convention.n_mels or abs(rate / self.frame_rate - 1) > 0.01:
            raise InputError(
                f"the statistics are of {self.n_mels} bands at {self.frame_rate:g} frames per "
                f"second; the mels have {convention.n_mels} bands at {rate:g}"
            )


@named_options
@torch.no_grad()
def mel_statistics(
    mels: Iterable[Tensor], convention: MelConvention | str | os.PathLike[str]
) -> MelStatistics:
    """Compute the statistics of real mels, such as those a network was trained on.

    A few minutes of speech suffice. Each item counts by its frames.

    Args:
        mels: Mels (…, n_mels, n_frames) in the convention's values, one at a time.
        convention: The convention of the mels.

    Returns:
        The statistics.

    Raises:
        InputError: If there is no mel, or one does not fit the convention.
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
    n_frames, weight = 0, 0.0
    for mel in mels:
        mel = check_mel_shape(check_real(mel, "mel").double(), settings)
        linear = decompress(mel, settings.level).reshape(-1, *mel.shape[-2:])
        log_mel = log_magnitude(linear, settings.power).cpu()
        loud = loud_frames(log_mel, None)
        mean = band_mean(log_mel, None)
        variance = masked_mean((log_mel - mean).square(), loud.expand_as(log_mel), -1)
        power = modulation_power(log_mel, None)
        values = torch.cat([mean, variance.sqrt(), power], -1)
        frames = loud.sum(-1, keepdim=True).double()
        sums += (values * frames).sum(0)
        weight += float(frames.sum())
        n_frames += linear.shape[0] * linear.shape[-1]
    if not n_frames:
        raise InputError("there is no mel to compute statistics from")
    means = sums / max(weight, 1.0)
    tiny = torch.finfo(torch.float32).tiny
    return MelStatistics(
        frame_rate=settings.sample_rate / settings.hop_length,
        n_frames=n_frames,
        band_mean=tuple(means[:, 0].tolist()),
        band_deviation=tuple(means[:, 1].tolist()),
        modulation_power=tuple(map(tuple, means[:, 2:].clamp(min=tiny).log().tolist())),
    )
