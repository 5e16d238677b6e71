"""Mel conventions: frozen, validated records of how a model turns a waveform into its mel.

The fields stand in the order in which they act. Nothing in these classes computes on audio:
`transforms.stft`, `transforms.mel_filterbank` and `transforms.compression` do.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
from typing import Literal, get_args

from torchmelinv.conventions.validated import ValidatedRecord, finite_floats
from torchmelinv.errors import ConventionError

__all__ = ["Compression", "MelConvention", "MfccConvention", "STFTConvention"]

WindowName = Literal["hann", "hann_symmetric", "povey"]
WindowAlign = Literal["center", "left"]
Padding = Literal["center_reflect", "center_zero", "same_reflect", "same_reflect_win", "none"]
MelScale = Literal["slaney", "htk", "kaldi"]

WINDOWS: tuple[WindowName, ...] = get_args(WindowName)
WINDOW_ALIGNS: tuple[WindowAlign, ...] = get_args(WindowAlign)
PADDINGS: tuple[Padding, ...] = get_args(Padding)
MEL_SCALES: tuple[MelScale, ...] = get_args(MelScale)
FILTER_NORMS = ("slaney", None)
LOGS = ("ln", "log10", None)
DCT_NORMS = ("ortho", None)
LARGEST_LENGTH = 2**17  # samples in a frame or a hop: 3 s at 44.1 kHz
LARGEST_OVERLAP = 2**10  # frames that cover a sample
LARGEST_RATE = 1e9  # Hz
POWERS = (0.1, 10)  # beyond, magnitudes and gains leave the range of float32
# Bounds of a filterbank, so that its tables take about 1 GB and 10 s at most, temporaries included:
# its bands, its entries, and the operations of its singular values.
LARGEST_BANDS, LARGEST_FILTERBANK, LARGEST_SVD = 2**14, 2**23, 2**32


@dataclasses.dataclass(frozen=True, kw_only=True)
class STFTConvention(ValidatedRecord):
    """Convention of a short-time Fourier transform: how a waveform becomes complex frames.

    Args:
        n_fft: FFT size in samples, from 2 to 2¹⁷.
        hop_length: Samples from one frame to the next, from 1 to 2¹⁷.
        win_length: Window length in samples, from 1 to `n_fft`. Default (0): `n_fft`.
        window: ``"hann"`` (periodic), ``"hann_symmetric"``, ``"povey"`` (the symmetric Hann window
            to the power 0.85), or the `win_length` numbers of any other window.
        window_align: Position of a window shorter than `n_fft`: ``"center"``, or ``"left"`` with
            zeros right of it, as in Kaldi. A left-aligned window also counts the frames: a frame
            needs `win_length` samples, not `n_fft`.
        padding: Samples added on each side of the waveform: ``"center_reflect"`` and
            ``"center_zero"`` add n_fft // 2, ``"same_reflect"`` adds (n_fft − hop_length) // 2,
            ``"same_reflect_win"`` adds (win_length − hop_length) // 2, ``"none"`` adds nothing.
        drop_last_frame: Whether the last frame is dropped, as Whisper does.
        remove_dc: Whether each frame's mean is subtracted before the window.
        pre_emphasis: Coefficient a of the pre-emphasis x[n] − a x[n − 1], at least 0 and below 1.
            It acts within each frame, before the window; the first sample counts as its own
            predecessor.
        window_normalized: Whether the spectrum is divided by √Σw².

    Raises:
        ConventionError: If a field has no such value.

    Example:
        >>> import torchmelinv as tmi
        >>> convention = tmi.STFTConvention(n_fft=1024, hop_length=256, padding="same_reflect")
        >>> convention.n_frames(22050)
        86
    """

    n_fft: int
    hop_length: int
    win_length: int = 0  # 0 stands for n_fft
    window: WindowName | tuple[float, ...] = "hann"
    window_align: WindowAlign = "center"
    padding: Padding = "center_reflect"
    drop_last_frame: bool = False
    remove_dc: bool = False
    pre_emphasis: float = 0.0
    window_normalized: bool = False

    def __post_init__(self) -> None:
        for field, low in (("n_fft", 2), ("hop_length", 1)):
            self._require_number(field, low, whole=True)
        for field in ("n_fft", "hop_length"):
            within = getattr(self, field) <= LARGEST_LENGTH
            self._require(field, within, f"at most {LARGEST_LENGTH}")
        least_hop = -(-self.n_fft // LARGEST_OVERLAP)
        within = self.hop_length >= least_hop
        self._require("hop_length", within, f"at least {least_hop} for n_fft = {self.n_fft}")
        self._fill_dependent_defaults()
        self._require_number("win_length", 1, whole=True)
        self._require("win_length", self.win_length <= self.n_fft, f"at most n_fft = {self.n_fft}")
        self._require_window()
        self._require_one_of("window_align", WINDOW_ALIGNS)
        self._require_one_of("padding", PADDINGS)
        for flag in ("drop_last_frame", "remove_dc", "window_normalized"):
            self._require_flag(flag)
        self._require_number("pre_emphasis", 0)
        self._require("pre_emphasis", self.pre_emphasis < 1, "below 1")

    def _require_window(self) -> None:
        if isinstance(self.window, str) and self.window in WINDOWS:
            both_zero = self.win_length == 2 and self.window != "hann"
            self._require("window", not both_zero, "'hann' for win_length = 2: its ends are 0")
            return
        allowed = f"one of {', '.join(map(repr, WINDOWS))}, or its {self.win_length} numbers"
        window = finite_floats(self.window)
        if len(window) not in (0, self.win_length):
            raise ConventionError(
                f"{type(self).__name__}.window holds {len(window)} numbers; it must be {allowed}"
            )
        self._require("window", len(window) > 0, allowed)
        energy = sum(min(abs(number), 1e100) ** 2 for number in window)
        self._require("window", 1e-60 <= energy <= 1e60, "of a sum of squares from 1e-60 to 1e60")
        object.__setattr__(self, "window", window)

    def _dependent_defaults(self) -> dict[str, float]:
        return {"win_length": self.n_fft}

    @property
    def stft(self) -> STFTConvention:
        """The convention of the STFT alone, without the fields of a mel convention."""
        names = [field.name for field in dataclasses.fields(STFTConvention)]
        return STFTConvention(**{name: getattr(self, name) for name in names})

    @property
    def n_freqs(self) -> int:
        """Number of frequency bins, n_fft // 2 + 1."""
        return self.n_fft // 2 + 1

    @property
    def left_padding(self) -> int:
        """Samples added before the waveform; as many are added after it."""
        if self.padding.startswith("center"):
            return self.n_fft // 2
        if self.padding == "none":
            return 0
        reach = self.n_fft if self.padding == "same_reflect" else self.win_length
        return max(reach - self.hop_length, 0) // 2

    @property
    def support(self) -> int:
        """Samples that a frame reads: `win_length` with a left-aligned window, else `n_fft`."""
        return self.win_length if self.window_align == "left" else self.n_fft

    def n_frames(self, n_samples: int) -> int:
        """Return the number of frames of a waveform.

        Args:
            n_samples: Length of the waveform in samples.

        Returns:
            Number of frames; 0 if the waveform is too short for a frame.

        Example:
            >>> import torchmelinv as tmi
            >>> tmi.preset("hifigan_22k").n_frames(22050)
            86
        """
        reach = n_samples + 2 * self.left_padding - self.support
        n_frames = 1 + reach // self.hop_length - int(self.drop_last_frame)
        return n_frames if n_frames > 0 else 0

    @property
    def ends_on_frame(self) -> bool:
        """Whether the last frame is centered on the waveform's end: T frames span T − 1 hops."""
        return self.padding.startswith("center") and not self.drop_last_frame

    def n_samples(self, n_frames: int) -> int:
        """Return the default length of a waveform that is made from frames.

        The length is (n_frames − 1) · hop_length if the last frame is centered on the waveform's
        end, else n_frames · hop_length; it is at least one hop, and never below `min_samples`.

        Args:
            n_frames: Number of frames.

        Returns:
            Number of samples.

        Example:
            >>> import torchmelinv as tmi
            >>> tmi.preset("hifigan_22k").n_samples(86)
            22016
        """
        hops = n_frames - int(self.ends_on_frame)
        length = self.hop_length * (hops if hops > 1 else 1)
        needed = self.min_samples(n_frames)
        # Comparisons instead of maxima, here and below: in a graph of symbolic sizes they leave
        # plain sums.
        return length if length >= needed else needed

    def min_samples(self, n_frames: int) -> int:
        """Return the length of the shortest waveform that has so many frames.

        Args:
            n_frames: Number of frames, at least 1.

        Returns:
            Number of samples, at least 1.

        Example:
            >>> import torchmelinv as tmi
            >>> tmi.preset("kaldi_fbank").min_samples(2)
            560
        """
        hops = n_frames - 1 + int(self.drop_last_frame)
        needed = self.support + self.hop_length * hops - 2 * self.left_padding
        return needed if needed > 1 else 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compression(ValidatedRecord):
    """Convention of the compression: how a linear mel becomes the values that a model sees.

    The fields act in their order, each only if it is set. `max(x)` is the item's peak::

        x ← max(x, floor), or x + offset
        x ← log(x)
        x ← multiplier · x + shift
        x ← x − max(x)                            (reference_max)
        x ← max(x, max(x) − dynamic_range)
        x ← (x − center) / scale                  (affine)
        x ← min(max(x, low), high)                (clip)
        x ← (x − band_mean) / band_scale

    Args:
        floor: Lower bound of the linear mel, above 0. Default: none.
        offset: Number added to the linear mel, at least 0. Only one of `floor` and `offset` may be
            set, and a logarithm needs one of them.
        log: ``"ln"``, ``"log10"``, or None for a linear mel.
        multiplier: Factor of the logarithm, above 0. Decibels of a power mel have 10, decibels of a
            magnitude mel 20.
        shift: Number added after `multiplier`.
        reference_max: Whether the item's peak is subtracted. Needs a logarithm.
        dynamic_range: Largest distance below the item's peak, above 0, in the values' own unit
            (dB for decibels). Needs a logarithm. Default: none.
        affine: (center, scale) of (x − center) / scale, with a scale that is not 0. Default: none.
        clip: (low, high) to which the values are clipped, with low below high. Default: none.
        band_mean: Mean of each band that is subtracted last, n_mels numbers. Default: none.
        band_scale: Number that each band is divided by last, n_mels numbers without 0. Default:
            none.

    Raises:
        ConventionError: If a field has no such value, or fields contradict each other.

    Example:
        >>> import torchmelinv as tmi
        >>> decibels = tmi.Compression(log="log10", floor=1e-10, multiplier=10, dynamic_range=80)
        >>> tmi.preset("librosa_melspectrogram", level=decibels).level == decibels
        True
    """

    floor: float | None = None
    offset: float = 0.0
    log: Literal["ln", "log10"] | None = None
    multiplier: float = 1.0
    shift: float = 0.0
    reference_max: bool = False
    dynamic_range: float | None = None
    affine: tuple[float, float] | None = None
    clip: tuple[float, float] | None = None
    band_mean: tuple[float, ...] | None = None
    band_scale: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        self._require_one_of("log", LOGS)
        if self.floor is not None:
            self._require_number("floor", 0, above=True)
        self._require_number("offset", 0)
        if self.log is None:
            linear = "for a linear mel: it needs a logarithm"
            self._require("reference_max", not self.reference_max, f"False {linear}")
            self._require("dynamic_range", self.dynamic_range is None, f"None {linear}")
        else:
            finite = self.floor is not None or self.offset > 0
            self._require("floor", finite, "above 0, or offset must be: log(0) is not finite")
        self._require("offset", self.floor is None or self.offset == 0, "0 if there is a floor")
        self._require_number("multiplier", 0, above=True)
        self._require_number("shift")
        self._require_flag("reference_max")
        if self.dynamic_range is not None:
            self._require_number("dynamic_range", 0, above=True)
        self._require_floats("affine", 2)
        valid = self.affine is None or self.affine[1] != 0
        self._require("affine", valid, "(center, scale) with a scale that is not 0")
        self._require_floats("clip", 2)
        valid = self.clip is None or self.clip[0] < self.clip[1]
        self._require("clip", valid, "(low, high) with low below high")
        self._require_floats("band_mean")
        self._require_floats("band_scale")
        valid = self.band_scale is None or 0 not in self.band_scale
        self._require("band_scale", valid, "without a 0")


def _most_bands(n_freqs: int) -> int:
    """Return the largest number of bands whose filterbank is within all bounds."""
    squared = math.isqrt(LARGEST_SVD // n_freqs)  # if there are no more bands than bins
    singular = squared if squared <= n_freqs else LARGEST_SVD // n_freqs**2
    return max(1, min(LARGEST_BANDS, LARGEST_FILTERBANK // n_freqs, singular))


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class MfccConvention(ValidatedRecord):
    """Convention of mel-frequency cepstral coefficients (MFCCs).

    The type-II DCT over the bands of a mel keeps its first `n_mfcc` coefficients; a lifter may
    weight them.

    Args:
        mel: Convention of the mel, as a record or a dictionary of its fields. Its `level` must have
            a logarithm.
        n_mfcc: Number of coefficients, from 1 to n_mels.
        norm: ``"ortho"`` for the orthonormal DCT, or None for 2 Σ x cos(π k (2n + 1) / (2 n_mels)),
            as in scipy, librosa and torchaudio.
        lifter: L of the lifter, at least 0. Above 0, coefficient k = 0, 1, … is multiplied by
            1 + L/2 · sin(π (k + lifter_start) / L).
        lifter_start: 1 as in librosa, or 0 as in Kaldi and HTK, which leave coefficient 0 as it is.

    Raises:
        ConventionError: If a field has no such value, or the mel is linear.

    Example:
        >>> import torchmelinv as tmi
        >>> convention = tmi.MfccConvention(mel=tmi.preset("hifigan_22k"), n_mfcc=13)
        >>> convention.mel.n_mels
        80
    """

    mel: MelConvention
    n_mfcc: int
    norm: Literal["ortho"] | None = "ortho"
    lifter: float = 0.0
    lifter_start: Literal[0, 1] = 1

    def __post_init__(self) -> None:
        self._require_record("mel", MelConvention, "a MelConvention")
        if self.mel.level.log is None:
            raise ConventionError(
                "MfccConvention.mel is linear, but MFCCs need a logarithm; "
                "give a mel convention with level=Compression(log=...)"
            )
        self._require_number("n_mfcc", 1, whole=True)
        most = self.mel.n_mels
        self._require("n_mfcc", self.n_mfcc <= most, f"at most n_mels = {most}")
        self._require_one_of("norm", DCT_NORMS)
        self._require_number("lifter", 0)
        self._require_number("lifter_start", 0, whole=True)
        self._require("lifter_start", self.lifter_start <= 1, "0 (Kaldi, HTK) or 1 (librosa)")
