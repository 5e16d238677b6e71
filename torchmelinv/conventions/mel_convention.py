"""Convention of a mel: the STFT, the filterbank and the compression of one model."""

from __future__ import annotations

import dataclasses
import math
import numbers
from typing import Literal, get_args

from torchmelinv.conventions.compression import Compression
from torchmelinv.conventions.stft_convention import STFTConvention
from torchmelinv.conventions.validated import named_fields
from torchmelinv.errors import ConventionError

__all__ = ["MelConvention"]

MelScale = Literal["slaney", "htk", "kaldi"]

MEL_SCALES: tuple[MelScale, ...] = get_args(MelScale)
FILTER_NORMS = ("slaney", None)
LARGEST_RATE = 1e9  # Hz
POWERS = (0.1, 10)  # beyond, magnitudes and gains leave the range of float32
# Bounds of a filterbank, so that its tables take about 1 GB and 10 s at most, temporaries included:
# its bands, its entries, and the operations of its singular values.
LARGEST_BANDS, LARGEST_FILTERBANK, LARGEST_SVD = 2**14, 2**23, 2**32


def _most_bands(n_freqs: int) -> int:
    """Return the largest number of bands whose filterbank is within all bounds."""
    squared = math.isqrt(LARGEST_SVD // n_freqs)  # if there are no more bands than bins
    singular = squared if squared <= n_freqs else LARGEST_SVD // n_freqs**2
    return max(1, min(LARGEST_BANDS, LARGEST_FILTERBANK // n_freqs, singular))


@named_fields
@dataclasses.dataclass(frozen=True, kw_only=True)
class MelConvention(STFTConvention):
    """Convention of a mel: everything that one model's mel function does to a waveform.

    Its first fields are those of `STFTConvention`. The filterbank's input is
    (|STFT|² + magnitude_offset)^(power / 2), or max(|STFT|², magnitude_floor)^(power / 2).

    Args:
        n_fft: FFT size in samples, from 2 to 2¹⁷.
        hop_length: Samples from one frame to the next, from 1 to 2¹⁷.
        win_length: Window length in samples, from 1 to `n_fft`. Default (0): `n_fft`.
        window: ``"hann"``, ``"hann_symmetric"``, ``"povey"``, or `win_length` numbers.
        window_align: Position of a short window: ``"center"`` or ``"left"``.
        padding: Samples added on each side of the waveform: ``"center_reflect"``,
            ``"center_zero"``, ``"same_reflect"``, ``"same_reflect_win"`` or ``"none"``.
        drop_last_frame: Whether the last frame is dropped.
        remove_dc: Whether each frame's mean is subtracted before the window.
        pre_emphasis: Coefficient of each frame's pre-emphasis, at least 0 and below 1.
        window_normalized: Whether the spectrum is divided by √Σw².
        sample_rate: Sample rate of the waveform in Hz, from 1 to 10⁹.
        magnitude_offset: Number added to |STFT|², at least 0.
        magnitude_floor: Lower bound of |STFT|², at least 0. Only one of the two may be set.
        power: Exponent of the magnitude: 1 for magnitude, 2 for power, or any number from 0.1 to
            10.
        n_mels: Number of mel bands, at least 1. Filters narrower than the spacing of the bins may
            be empty; `MelFilterbank` warns of many.
        f_min: Lowest frequency of the filterbank in Hz, at least 0.
        f_max: Highest frequency of the filterbank in Hz, above `f_min`. Default (0): half of
            `filterbank_sample_rate`, which is also its upper bound.
        mel_scale: ``"slaney"``, ``"htk"``, or ``"kaldi"`` (the scale of HTK, with filters that are
            triangles in mel instead of Hz).
        filter_norm: ``"slaney"`` (each filter has area 1 over frequency in Hz) or None (each filter
            has peak 1).
        filterbank_sample_rate: Sample rate in Hz that the filters were made for, from 1 to 10⁹.
            Default: `sample_rate`.
        level: Compression of the linear mel, as a record or a dictionary of its fields. Default:
            none, a linear mel.

    Raises:
        ConventionError: If a field has no such value, or fields contradict each other.

    Example:
        >>> import torchmelinv as tmi
        >>> convention = tmi.MelConvention(
        ...     sample_rate=22050,
        ...     n_fft=1024,
        ...     hop_length=256,
        ...     n_mels=80,
        ...     level=tmi.Compression(log="ln", floor=1e-5),
        ... )
        >>> convention.f_max
        11025.0
    """

    sample_rate: float
    magnitude_offset: float = 0.0
    magnitude_floor: float = 0.0
    power: float = 1.0
    n_mels: int
    f_min: float = 0.0
    f_max: float = 0.0  # 0 stands for half of the filterbank's sample rate
    mel_scale: MelScale = "slaney"
    filter_norm: Literal["slaney"] | None = "slaney"
    filterbank_sample_rate: float = 0.0  # 0 stands for sample_rate
    level: Compression = dataclasses.field(default_factory=Compression)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._require_number("sample_rate", 0, above=True)
        self._require_number("filterbank_sample_rate", 0, above=True)
        for field in ("sample_rate", "filterbank_sample_rate"):
            within = 1 <= getattr(self, field) <= LARGEST_RATE
            self._require(field, within, f"from 1 to {LARGEST_RATE:g} Hz")
        self._require_number("f_max", 0, above=True)
        self._require_number("magnitude_offset", 0)
        self._require_number("magnitude_floor", 0)
        valid = self.magnitude_floor == 0 or self.magnitude_offset == 0
        self._require("magnitude_floor", valid, "0 if there is a magnitude_offset")
        self._require_number("power", 0, above=True)
        least, most = POWERS
        self._require("power", least <= self.power <= most, f"from {least:g} to {most:g}")
        self._require_number("n_mels", 1, whole=True)
        most = _most_bands(self.n_freqs)
        self._require("n_mels", self.n_mels <= most, f"at most {most} for n_fft = {self.n_fft}")
        self._require_number("f_min", 0)
        self._require("f_max", self.f_max - self.f_min >= 1e-6, f"above f_min = {self.f_min:g} Hz")
        most_hz = self.filterbank_sample_rate / 2
        self._require("f_max", self.f_max <= most_hz, f"at most {most_hz:g} Hz")
        self._require_one_of("mel_scale", MEL_SCALES)
        self._require_one_of("filter_norm", FILTER_NORMS)
        self._require_level()

    def _require_level(self) -> None:
        self._require_record("level", Compression, "a Compression record")
        for name in ("band_mean", "band_scale"):
            values = getattr(self.level, name)
            if values is not None and len(values) != self.n_mels:
                raise ConventionError(
                    f"Compression.{name} holds {len(values)} numbers; "
                    f"the convention has {self.n_mels} bands"
                )

    def _dependent_defaults(self) -> dict[str, float]:
        rate = self.filterbank_sample_rate
        # A rate that is not a number, or above every float, is refused later, by its own check.
        f_max = rate / 2 if isinstance(rate, numbers.Real) and rate <= LARGEST_RATE else 0
        defaults = {"filterbank_sample_rate": self.sample_rate, "f_max": f_max}
        return {**super()._dependent_defaults(), **defaults}
