"""What an iteration imposes on spectra: the interface, and its simplest case, a magnitude."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor

from torchmelinv._utils.numerics import relative_norm
from torchmelinv.conventions import MelConvention
from torchmelinv.cuda.layout import MelUpdate
from torchmelinv.phase.impose_magnitude import impose_magnitude, impose_magnitude_vjp
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.spectrum import safe_abs


class MelData(NamedTuple):
    """A linear mel spectrogram that a method may hold the signal to."""

    values: Tensor  # m of the magnitude divided by `scale`, (items, frames, n_mels)
    scale: Tensor  # what each item's magnitude was divided by, (items, 1, 1)
    filterbank: MelFilterbank
    convention: MelConvention


class Target(Protocol):
    """What spectra (items, frames, n_freqs) should have; values are 0 in padding frames."""

    @property
    def values(self) -> Tensor:
        """The target as a tensor (items, frames, rows); the only part that gradients reach."""

    @property
    def lacks_fine_structure(self) -> bool:
        """Whether spectra that have the target are free within its bands."""

    def with_values(self, values: Tensor) -> Target:
        """Return the same kind of target for other frames, from their values."""

    def envelope(self) -> Tensor:
        """Return a magnitude (items, frames, n_freqs) near the target."""

    def impose(self, spectrum: Tensor) -> Tensor:
        """Return the spectrum changed to have the target, angles kept; may overwrite its input."""

    def vjp(self, spectrum: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of `impose` with respect to the spectrum and to `values`."""

    def distance(self, spectrum: Tensor) -> Tensor:
        """Return the relative distance from the target, (items, 1); 0 for a silent item."""

    def unsupported_reason(self) -> str | None:
        """Return why the CUDA kernels cannot impose this target, or None if they can."""

    def cuda_args(self) -> Tensor | MelUpdate:
        """Return the target in the form that the CUDA kernels take."""


class MagnitudeTarget(NamedTuple):
    """The target |c| = A."""

    values: Tensor  # A, (items, frames, n_freqs)

    @property
    def lacks_fine_structure(self) -> bool:
        return False

    def with_values(self, values: Tensor) -> MagnitudeTarget:
        return MagnitudeTarget(values)

    def envelope(self) -> Tensor:
        return self.values

    def impose(self, spectrum: Tensor) -> Tensor:
        return impose_magnitude(spectrum, self.values)

    def vjp(self, spectrum: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
        return impose_magnitude_vjp(spectrum, self.values, grad)

    def distance(self, spectrum: Tensor) -> Tensor:
        return relative_norm(safe_abs(spectrum) - self.values, self.values)

    def unsupported_reason(self) -> None:
        return None

    def cuda_args(self) -> Tensor:
        return self.values.detach()
