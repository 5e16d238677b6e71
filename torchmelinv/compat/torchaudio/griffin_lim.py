"""Fast Griffin-Lim as a function and as a module, with torchaudio's arguments."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from torchmelinv.compat import operators
from torchmelinv.compat.torchaudio._filters import make_window
from torchmelinv.errors import InputError

__all__ = ["GriffinLim", "griffinlim"]


def griffinlim(
    specgram: Tensor,
    window: Tensor,
    n_fft: int,
    hop_length: int,
    win_length: int,
    power: float,
    n_iter: int,
    momentum: float,
    length: int | None,
    rand_init: bool,
) -> Tensor:
    """Invert a spectrogram by fast Griffin-Lim, as `torchaudio.functional.griffinlim`.

    It is `GriffinLim` as a function: the same iteration, initial phases and gradients.

    Args:
        specgram: Spectrogram |STFT|^power (…, n_fft // 2 + 1, time).
        window: Window (win_length,).
        n_fft: Size of the FFT.
        hop_length: Hop in samples.
        win_length: Length of the window in samples.
        power: Exponent of the spectrogram.
        n_iter: Number of iterations.
        momentum: Momentum, from 0 to below 1.
        length: Number of output samples. None: as many as `torch.istft` returns.
        rand_init: Whether initial phases are random, else 0.

    Returns:
        Waveform (…, length).

    Raises:
        InputError: If the spectrogram or the window has another shape or dtype, or the momentum is
            out of its range; a ValueError.

    Shape:
        - specgram: (…, n_fft // 2 + 1, time)
        - window: (win_length,)
        - output: (…, length)

    References:
        N. Perraudin, P. Balazs and P. L. Søndergaard, "A fast Griffin-Lim algorithm", WASPAA 2013.

    Example:
        >>> import torch
        >>> from torchmelinv.compat.torchaudio import griffinlim
        >>> specgram, window = torch.rand(2, 257, 20), torch.hann_window(512)
        >>> griffinlim(specgram, window, 512, 128, 512, 2.0, 4, 0.99, None, True).shape
        torch.Size([2, 2432])
    """
    if window.ndim != 1 or len(window) != win_length:
        raise InputError(
            f"the window has shape {list(window.shape)}; it must be (win_length,) = ({win_length},)"
        )
    if not torch.jit.is_scripting():  # type: ignore[attr-defined]
        return operators.griffin_lim(
            specgram, window, n_fft, hop_length, power, n_iter, momentum, length, rand_init
        )
    return torch.ops.torchmelinv.griffin_lim(
        specgram, window, n_fft, hop_length, power, n_iter, momentum, length, rand_init
    )


class GriffinLim(nn.Module):
    """Invert a spectrogram by fast Griffin-Lim, as `torchaudio.transforms.GriffinLim`.

    The iteration is torchaudio's, computed in the signal domain. With ``rand_init=False`` the
    waveform is torchaudio's to rounding. With ``rand_init=True`` the phases are uniform on the
    whole circle, drawn from torch's global generator; torchaudio draws other numbers. A zero of the
    spectrogram passes no gradient.

    Args:
        n_fft: Size of the FFT.
        n_iter: Number of iterations.
        win_length: Length of the window in samples. Default: `n_fft`.
        hop_length: Hop in samples. Default: ``win_length // 2``.
        window_fn: Function of the length that returns the window.
        power: Exponent of the spectrogram |STFT|^power.
        wkwargs: Further arguments of `window_fn`.
        momentum: Momentum, from 0 to below 1.
        length: Number of output samples. Default: as many as `torch.istft` returns.
        rand_init: Whether initial phases are random, else 0.

    Raises:
        InputError: If the momentum is out of its range; a ValueError.

    References:
        N. Perraudin, P. Balazs and P. L. Søndergaard, "A fast Griffin-Lim algorithm", WASPAA 2013.

    Example:
        >>> import torch
        >>> from torchmelinv.compat.torchaudio import GriffinLim
        >>> GriffinLim(n_fft=512, n_iter=4)(torch.rand(2, 257, 20)).shape
        torch.Size([2, 4864])
    """

    __constants__ = (
        "hop_length",
        "length",
        "momentum",
        "n_fft",
        "n_iter",
        "power",
        "rand_init",
        "win_length",
    )
    window: Tensor

    def __init__(
        self,
        n_fft: int = 400,
        n_iter: int = 32,
        win_length: int | None = None,
        hop_length: int | None = None,
        window_fn: Callable[..., Tensor] = torch.hann_window,
        power: float = 2.0,
        wkwargs: dict[str, Any] | None = None,
        momentum: float = 0.99,
        length: int | None = None,
        rand_init: bool = True,
    ) -> None:
        super().__init__()
        operators.check_momentum(momentum)
        self.n_fft, self.n_iter = n_fft, n_iter
        self.win_length = n_fft if win_length is None else win_length
        self.hop_length = self.win_length // 2 if hop_length is None else hop_length
        self.register_buffer("window", make_window(window_fn, self.win_length, wkwargs))
        self.power, self.momentum = float(power), float(momentum)
        self.length, self.rand_init = length, rand_init

    def forward(self, specgram: Tensor) -> Tensor:
        """Find the waveform of a spectrogram.

        Args:
            specgram: Spectrogram |STFT|^power (…, n_fft // 2 + 1, time).

        Returns:
            Waveform (…, length).

        Raises:
            InputError: If the spectrogram has another shape or dtype.

        Shape:
            - specgram: (…, n_fft // 2 + 1, time)
            - output: (…, length)
        """
        return griffinlim(
            specgram,
            self.window,
            self.n_fft,
            self.hop_length,
            self.win_length,
            self.power,
            self.n_iter,
            self.momentum,
            self.length,
            self.rand_init,
        )
