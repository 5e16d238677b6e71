"""Convention of a short-time Fourier transform, and the numbers of frames and samples it gives."""

from __future__ import annotations

import dataclasses
from typing import Literal, get_args

from torchmelinv.conventions.validated import ValidatedRecord, finite_floats, named_fields
from torchmelinv.errors import ConventionError

__all__ = ["STFTConvention"]

WindowName = Literal["hann", "hann_symmetric", "povey"]
WindowAlign = Literal["center", "left"]
Padding = Literal["center_reflect", "center_zero", "same_reflect", "same_reflect_win", "none"]

WINDOWS: tuple[WindowName, ...] = get_args(WindowName)
WINDOW_ALIGNS: tuple[WindowAlign, ...] = get_args(WindowAlign)
PADDINGS: tuple[Padding, ...] = get_args(Padding)
LARGEST_LENGTH = 2**17  # samples in a frame or a hop: 3 s at 44.1 kHz
LARGEST_OVERLAP = 2**10  # frames that cover a sample


@named_fields
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
