"""Inverses of the mel filterbank, one per file, and the registry of their names."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from torchmelinv._utils.method_names import MagnitudeName
from torchmelinv.errors import InputError, nearest
from torchmelinv.magnitude import entropic, least_distance, nnls, pinv, transpose
from torchmelinv.transforms.mel_filterbank import MelFilterbank

__all__ = ["MAGNITUDES", "MagnitudeInverse", "MagnitudeName", "as_magnitude_inverse"]

# (linear mel (…, n_mels, n_frames), filterbank) -> |STFT|^power (…, n_freqs, n_frames)
MagnitudeInverse = Callable[[Tensor, MelFilterbank], Tensor]

# A new inverse is registered here, by its import and its row, and in `MagnitudeName`.
MAGNITUDES: dict[str, MagnitudeInverse] = {
    "transpose": transpose.transpose,
    "pinv": pinv.pinv,
    "nnls": nnls.nnls,
    "least_distance": least_distance.least_distance,
    "entropic": entropic.entropic,
}


def as_magnitude_inverse(magnitude: str, name: str = "magnitude") -> MagnitudeInverse:
    """Return the inverse of the filterbank by its name.

    Args:
        magnitude: A key of `MAGNITUDES`.
        name: The argument's name, for errors.

    Returns:
        The inverse.

    Raises:
        InputError: If there is no such inverse.
    """
    if not isinstance(magnitude, str) or magnitude not in MAGNITUDES:
        allowed = ", ".join(map(repr, MAGNITUDES))
        raise InputError(
            f"{name} is {magnitude!r}; it must be one of {allowed}"
            f"{nearest(str(magnitude), MAGNITUDES)}"
        )
    return MAGNITUDES[magnitude]
