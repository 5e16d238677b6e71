"""What a restoration is: a frozen dataclass that maps log mels to log mels."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError


class Restoration:
    """Base class of the restorations of smoothed mels.

    A subclass is a frozen dataclass of its parameters and defines `restore`.

    Example:
        >>> import dataclasses
        >>> import torchmelinv as tmi
        >>> @dataclasses.dataclass(frozen=True)
        ... class Louder(tmi.restoration.Restoration):
        ...     def restore(self, log_mel, counts, convention):
        ...         return log_mel + 0.1
        >>> inverter = tmi.MelInverter("hifigan_22k", restore=Louder())
    """

    def restore(self, log_mel: Tensor, counts: Tensor | None, convention: MelConvention) -> Tensor:
        """Return the restored log mels.

        Args:
            log_mel: Natural logarithm of the magnitude mels, (items, n_mels, n_frames). Padding
                holds the last frame of each item.
            counts: Frames of each item, (items), or None if all frames are the items' own.
            convention: The convention of the mels.

        Returns:
            Restored log mels (items, n_mels, n_frames).
        """
        raise NotImplementedError(f"{type(self).__name__} does not define restore")


@dataclass(frozen=True, init=False)
class Sequential(Restoration):
    """Several restorations, one after the other.

    Args:
        *steps: The restorations, the first one first.

    Raises:
        InputError: If a step is no restoration, or there is none.

    Example:
        >>> import torchmelinv as tmi
        >>> from torchmelinv.restoration import Contrast, Sequential, UnsharpMask
        >>> restore = Sequential(UnsharpMask(0.5), Contrast(1.1))
        >>> inverter = tmi.MelInverter("hifigan_22k", restore=restore)
    """

    steps: tuple[Restoration, ...]

    def __init__(self, *steps: Restoration) -> None:
        if not steps or not all(isinstance(step, Restoration) for step in steps):
            raise InputError(
                f"the steps are {steps!r}; they must be objects of torchmelinv.restoration, such "
                "as Contrast(1.1)"
            )
        object.__setattr__(self, "steps", steps)

    def restore(self, log_mel: Tensor, counts: Tensor | None, convention: MelConvention) -> Tensor:
        for step in self.steps:
            log_mel = step.restore(log_mel, counts, convention)
        return log_mel
