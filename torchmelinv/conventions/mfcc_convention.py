"""Convention of mel-frequency cepstral coefficients: a mel, a DCT and a lifter."""

from __future__ import annotations

import dataclasses
from typing import Literal

from torchmelinv.conventions.mel_convention import MelConvention
from torchmelinv.conventions.validated import ValidatedRecord, named_fields
from torchmelinv.errors import ConventionError

__all__ = ["MfccConvention"]

DCT_NORMS = ("ortho", None)


@named_fields
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
