"""What a restoration is: a frozen dataclass that maps log mels to log mels."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError


class Restoration:
    """Base class of the restorations of smoothed mels.

    A subclass is a frozen dataclass of its parameters and defines `restore`. Whatever it returns,
    no value is raised by more than 13 dB, and the level stays: the mel is then scaled so that the
    squared magnitudes of each item keep their mean.

    Example:
        >>> import dataclasses
        >>> import torch, torchmelinv as tmi
        >>> @dataclasses.dataclass(frozen=True)
        ... class Brighter(tmi.restoration.Restoration):
        ...     slope: float = 0.01  # nepers per band
        ...     def restore(self, log_mel, lengths, convention):
        ...         bands = torch.arange(convention.n_mels, device=log_mel.device)
        ...         return log_mel + self.slope * bands[:, None]
        >>> inverter = tmi.MelInverter("hifigan_22k", restore=Brighter())
        >>> inverter(torch.full((80, 20), -5.0)).shape
        torch.Size([5120])
    """

    def prepare(self, convention: MelConvention) -> None:
        """Compute or check what depends on the convention alone; called once, before any mel.

        Args:
            convention: The convention of the mels.
        """

    def restore(self, log_mel: Tensor, lengths: Tensor | None, convention: MelConvention) -> Tensor:
        """Return the restored log mels.

        Args:
            log_mel: Natural logarithm of the magnitude mels, (items, n_mels, n_frames). Padding
                holds the last frame of each item.
            lengths: Frames of each item, (items), or None if all frames are the items' own.
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

    def prepare(self, convention: MelConvention) -> None:
        for step in self.steps:
            step.prepare(convention)

    def restore(self, log_mel: Tensor, lengths: Tensor | None, convention: MelConvention) -> Tensor:
        for step in self.steps:
            log_mel = step.restore(log_mel, lengths, convention)
        return log_mel
