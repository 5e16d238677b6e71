"""The calls whose launches and waits are counted, on a device and without one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

import torchmelinv as tmi
from torchmelinv.corpus.batch_inverter import BatchInverter
from torchmelinv.corpus.batching import BatchLimit
from torchmelinv.corpus.loading import MelItem
from torchmelinv.functional import initial_phase
from torchmelinv.magnitude import MAGNITUDES

PRESET, N_SAMPLES = "hifigan_22k", 220416  # 10 s
N_ITER, ITEMS = 32, 16

Call = Callable[[], Any]


def mel_of(n_samples: int, device: torch.device) -> Tensor:
    """Return the mel of a noise on the device, (1, n_mels, n_frames)."""
    noise = torch.randn(1, n_samples, generator=torch.Generator().manual_seed(0))
    return tmi.MelSpectrogram(PRESET)(0.1 * noise).to(device)


def torchaudio_griffin_lim(n_iter: int, device: torch.device) -> torch.nn.Module:
    """Return torchaudio's fast Griffin-Lim for a magnitude of the preset."""
    import torchaudio

    return torchaudio.transforms.GriffinLim(1024, n_iter, hop_length=256, power=1.0).to(device)


def calls(device: torch.device, n_samples: int = N_SAMPLES) -> dict[str, Call]:
    """Return calls for items of 10 s on the device, or of another length; most for one item."""
    import torchaudio  # not at the top: the guarantees count launches without it

    mel, filterbank = mel_of(n_samples, device), tmi.MelFilterbank(PRESET)
    linear_mel = mel.exp()
    magnitude = MAGNITUDES["transpose"](linear_mel, filterbank)
    unchecked, checked = (tmi.MelInverter(PRESET, check=check) for check in (False, True))
    cascade = tmi.MelInverter(PRESET, phase="fast_griffin_lim", check=False)
    streams = {check: tmi.StreamingInverter(PRESET, check=check) for check in (False, True)}
    settings = tmi.preset(PRESET)
    inverse_mel_scale = torchaudio.transforms.InverseMelScale(
        settings.n_freqs,
        settings.n_mels,
        settings.sample_rate,
        settings.f_min,
        settings.f_max,
        "slaney",
        "slaney",
    ).to(device)
    griffin_lim = torchaudio_griffin_lim(N_ITER, device)
    methods = ("entropic", "least_distance", "nnls")
    batches = BatchInverter(tmi.MelInverter(PRESET), device, BatchLimit(ITEMS, 10**6))
    lengths = [max(mel.shape[-1] - shorter, 1) for shorter in range(ITEMS)]
    items = [MelItem(length, mel[0, :, :length].cpu()) for length in lengths]
    return {
        "MelInverter": lambda: checked(mel),
        "MelInverter, check=False": lambda: unchecked(mel),
        "MelInverter, entropic and fast_griffin_lim": lambda: cascade(mel),
        f"a batch of {ITEMS} mels in invert_many": lambda: batches.invert(items),
        **{name: lambda name=name: MAGNITUDES[name](linear_mel, filterbank) for name in methods},
        **{
            f"init {name}": lambda name=name: initial_phase(magnitude, PRESET, name)
            for name in ("pghi", "spsi", "random")
        },
        "a frame of a stream": lambda: streams[True].push(mel[..., :1]),
        "a frame of a stream, check=False": lambda: streams[False].push(mel[..., :1]),
        "torchaudio InverseMelScale": lambda: inverse_mel_scale(linear_mel),
        "torchaudio GriffinLim": lambda: griffin_lim(magnitude),
    }
