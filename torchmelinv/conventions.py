"""Mel conventions as frozen, validated records: which numbers turn a waveform into a given model's mel.

The fields stand in the order in which they act. Nothing here computes on audio: `frame.py`, `filterbank.py` and `level.py` do.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Mapping

from torchmelinv.errors import ConventionError
from torchmelinv.record import Record

WINDOWS = ("hann", "hann_symmetric", "povey")
WINDOW_ALIGNS = ("center", "left")
PADDINGS = ("center_reflect", "center_zero", "same_reflect", "same_reflect_win", "none")
MEL_SCALES = ("slaney", "htk", "kaldi")
FILTER_NORMS = ("slaney", None)
LOGS = ("ln", "log10", None)
DCT_NORMS = ("ortho", None)
LARGEST_LENGTH = 2**20  # samples in a frame or a hop: 20 s and more
LARGEST_RATE = 1e9  # Hz
LARGEST_FILTERBANK = 2**26  # entries: 512 MB in float64


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrameConvention(Record):
    """How a waveform becomes complex frames. Lengths are in samples.

    `window`: `hann` is periodic, `hann_symmetric` and `povey` (Hann to the power 0.85) are symmetric; any other window is its
    `win_length` numbers.
    `window_align`: a window shorter than `n_fft` sits in its `center`, or `left` with zeros right of it, as in Kaldi,
    and then frames are counted by the window.
    `padding`: `center_reflect` and `center_zero` put n_fft // 2 samples on each side; `same_reflect` (n_fft − hop) // 2,
    `same_reflect_win` (win − hop) // 2; `none` nothing.
    `remove_dc`, `pre_emphasis`: done to each frame before its window, the first sample standing in for the one before it.
    `window_normalized`: the spectrum is divided by √Σw².
    """

    n_fft: int
    hop_length: int
    win_length: int = 0  # 0 stands for n_fft
    window: str | tuple[float, ...] = "hann"
    window_align: str = "center"
    padding: str = "center_reflect"
    drop_last_frame: bool = False
    remove_dc: bool = False
    pre_emphasis: float = 0.0
    window_normalized: bool = False

    def __post_init__(self) -> None:
        self._number("n_fft", 2, whole=True)
        self._number("hop_length", 1, whole=True)
        for field in ("n_fft", "hop_length"):
            self._require(field, getattr(self, field) <= LARGEST_LENGTH, f"at most {LARGEST_LENGTH}")
        self._derive()
        self._number("win_length", 1, whole=True)
        self._require("win_length", self.win_length <= self.n_fft, f"at most n_fft = {self.n_fft}")
        self._check_window()
        self._one_of("window_align", WINDOW_ALIGNS)
        self._one_of("padding", PADDINGS)
        for flag in ("drop_last_frame", "remove_dc", "window_normalized"):
            self._require(flag, isinstance(getattr(self, flag), bool), "True or False")
        self._number("pre_emphasis", 0)
        self._require("pre_emphasis", self.pre_emphasis < 1, "below 1")

    def _check_window(self) -> None:
        if isinstance(self.window, str) and self.window in WINDOWS:
            return
        allowed = f"one of {', '.join(map(repr, WINDOWS))}, or its {self.win_length} numbers"
        try:
            window = () if isinstance(self.window, (str, Mapping)) else tuple(float(number) for number in self.window)
        except (TypeError, ValueError, OverflowError):
            window = ()
        if len(window) not in (0, self.win_length):
            raise ConventionError(f"{type(self).__name__}.window holds {len(window)} numbers; it must be {allowed}")
        self._require("window", len(window) > 0 and all(map(math.isfinite, window)), allowed)
        object.__setattr__(self, "window", window)

    def _derived(self) -> dict[str, float]:
        return {"win_length": self.n_fft}

    @property
    def frame(self) -> FrameConvention:
        """The part that phase methods need, frames, without what a mel convention adds."""
        return FrameConvention(**{field.name: getattr(self, field.name) for field in dataclasses.fields(FrameConvention)})

    @property
    def n_freqs(self) -> int:
        """Number of frequency bins, n_fft // 2 + 1."""
        return self.n_fft // 2 + 1

    @property
    def left_padding(self) -> int:
        """Samples put before the waveform; as many follow it."""
        if self.padding.startswith("center"):
            return self.n_fft // 2
        if self.padding == "none":
            return 0
        return max((self.n_fft if self.padding == "same_reflect" else self.win_length) - self.hop_length, 0) // 2

    @property
    def support(self) -> int:
        """Samples that one frame reads: `win_length` where zeros follow the window, else `n_fft`."""
        return self.win_length if self.window_align == "left" else self.n_fft

    def n_frames(self, n_samples: int) -> int:
        """Frames that a waveform of `n_samples` gives; 0 where it is too short for one."""
        reach = n_samples + 2 * self.left_padding - self.support
        return max(0, 1 + reach // self.hop_length - self.drop_last_frame)

    @property
    def ends_on_frame(self) -> bool:
        """Whether the last frame is centred on the waveform's end, so that T frames span T − 1 hops."""
        return self.padding.startswith("center") and not self.drop_last_frame

    def n_samples(self, n_frames: int) -> int:
        """Samples that `n_frames` are turned back into: hop · (T − 1) for centred frames, else hop · T; at least one hop.

        Without padding the tail of the last frame, where fewer windows reach, is left off: ask for it by `length`.
        """
        return self.hop_length * max(1, n_frames - self.ends_on_frame)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Level(Record):
    """How a linear mel becomes the values that a model sees, in the order of the fields; `level.py` does it and undoes it.

    `floor` clamps the linear mel from below, `offset` is added to it (one of the two); then `log`, `· multiplier`, `+ shift`;
    `reference_max` subtracts the item's peak, `dynamic_range` lifts everything to at least the item's peak minus this;
    `affine` = (center, scale) gives (x − center) / scale; `clip` = (low, high); last the statistics of each band that only the
    user has: (x − `band_mean`) / `band_scale`.
    """

    floor: float | None = None
    offset: float = 0.0
    log: str | None = None
    multiplier: float = 1.0
    shift: float = 0.0
    reference_max: bool = False
    dynamic_range: float | None = None
    affine: tuple[float, float] | None = None
    clip: tuple[float, float] | None = None
    band_mean: tuple[float, ...] | None = None
    band_scale: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        self._one_of("log", LOGS)
        if self.floor is not None:
            self._number("floor", 0, above=True)
        self._number("offset", 0)
        if self.log is None:
            self._require("reference_max", not self.reference_max, "False for a linear mel: it needs a logarithm")
            self._require("dynamic_range", self.dynamic_range is None, "None for a linear mel: it needs a logarithm")
        else:
            self._require("floor", self.floor is not None or self.offset > 0, "above 0, or offset be: log(0) is not finite")
        self._require("offset", self.floor is None or self.offset == 0, "0 where a floor is given")
        self._number("multiplier", 0, above=True)
        self._number("shift")
        self._require("reference_max", isinstance(self.reference_max, bool), "True or False")
        if self.dynamic_range is not None:
            self._number("dynamic_range", 0, above=True)
        self._floats("affine", 2)
        self._require("affine", self.affine is None or self.affine[1] != 0, "(center, scale) with a scale that is not 0")
        self._floats("clip", 2)
        self._require("clip", self.clip is None or self.clip[0] < self.clip[1], "(low, high) with low below high")
        self._floats("band_mean")
        self._floats("band_scale")
        self._require("band_scale", self.band_scale is None or 0 not in self.band_scale, "without a 0")


@dataclasses.dataclass(frozen=True, kw_only=True)
class MelConvention(FrameConvention):
    """Everything that one model's mel function does, from waveform to values.

    Frequencies are in Hz. The spectrum's magnitude is √(re² + im² + `magnitude_offset`), or with `magnitude_floor` its square is
    clamped there; the filterbank works on its `power` (1 magnitude, 2 power). `filterbank_sample_rate` is the rate that the
    filters were made for, where that is not the waveform's. `f_max` is half of it where none is given.
    """

    sample_rate: float
    magnitude_offset: float = 0.0
    magnitude_floor: float = 0.0
    power: float = 1.0
    n_mels: int
    f_min: float = 0.0
    f_max: float = 0.0  # 0 stands for half of the filterbank's sample rate
    mel_scale: str = "slaney"
    filter_norm: str | None = "slaney"
    filterbank_sample_rate: float = 0.0  # 0 stands for sample_rate
    level: Level = dataclasses.field(default_factory=Level)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._number("sample_rate", 0, above=True)
        self._number("filterbank_sample_rate", 0, above=True)
        for field in ("sample_rate", "filterbank_sample_rate"):
            self._require(field, 1 <= getattr(self, field) <= LARGEST_RATE, f"from 1 to {LARGEST_RATE:g} Hz")
        self._number("f_max", 0, above=True)
        self._number("magnitude_offset", 0)
        self._number("magnitude_floor", 0)
        self._require("magnitude_floor", self.magnitude_floor == 0 or self.magnitude_offset == 0, "0 beside a magnitude_offset")
        self._number("power", 0, above=True)
        self._number("n_mels", 1, whole=True)
        most = max(1, LARGEST_FILTERBANK // self.n_freqs)
        self._require("n_mels", self.n_mels <= most, f"at most {most} beside n_fft = {self.n_fft}")
        self._number("f_min", 0)
        self._require("f_max", self.f_max - self.f_min >= 1e-6, f"above f_min = {self.f_min:g} Hz")
        self._require("f_max", self.f_max <= self.filterbank_sample_rate / 2, f"at most {self.filterbank_sample_rate / 2:g} Hz")
        self._one_of("mel_scale", MEL_SCALES)
        self._one_of("filter_norm", FILTER_NORMS)
        if isinstance(self.level, Mapping):
            object.__setattr__(self, "level", Level.from_dict(self.level))
        self._require("level", isinstance(self.level, Level), "a Level record or a dictionary of its fields")
        for name in ("band_mean", "band_scale"):
            numbers = getattr(self.level, name)
            if numbers is not None and len(numbers) != self.n_mels:
                raise ConventionError(f"Level.{name} holds {len(numbers)} numbers; the convention has {self.n_mels} bands")

    def _derived(self) -> dict[str, float]:
        rate = self.filterbank_sample_rate
        # A rate that is no number, or beyond every float, is refused later, by its name.
        f_max = rate / 2 if isinstance(rate, numbers.Real) and rate <= LARGEST_RATE else 0
        return {**super()._derived(), "filterbank_sample_rate": self.sample_rate, "f_max": f_max}


@dataclasses.dataclass(frozen=True, kw_only=True)
class MfccConvention(Record):
    """How a model's mel becomes cepstral coefficients: the type-II DCT over the bands, its first `n_mfcc` rows, and a lifter.

    `mel`: how that mel was made; its `level` holds the logarithm, in dB or ln, which there must be.
    `norm`: the DCT is orthonormal (`ortho`) or, None, 2 Σ x cos(π k (2n + 1) / 2 n_mels), as in scipy, librosa and torchaudio.
    `lifter` L above 0 multiplies coefficient k = 0, 1, … by 1 + L/2 · sin(π (k + `lifter_start`) / L), where `lifter_start` is 1
    in librosa, and 0 in Kaldi and HTK, which leave coefficient 0 alone.
    """

    mel: MelConvention
    n_mfcc: int
    norm: str | None = "ortho"
    lifter: float = 0.0
    lifter_start: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.mel, Mapping):
            object.__setattr__(self, "mel", MelConvention.from_dict(self.mel))
        self._require("mel", isinstance(self.mel, MelConvention), "a MelConvention or a dictionary of its fields")
        if self.mel.level.log is None:
            raise ConventionError("MfccConvention.mel is linear; MFCCs are of its logarithm: give one with level=Level(log=...)")
        self._number("n_mfcc", 1, whole=True)
        self._require("n_mfcc", self.n_mfcc <= self.mel.n_mels, f"at most n_mels = {self.mel.n_mels}")
        self._one_of("norm", DCT_NORMS)
        self._number("lifter", 0)
        self._number("lifter_start", 0, whole=True)
        self._require("lifter_start", self.lifter_start <= 1, "0 (Kaldi, HTK) or 1 (librosa)")
