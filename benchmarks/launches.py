"""`python -m benchmarks.launches`: what calls ask of a CUDA device, counted without one.

The pretended device counts operations and the waits of the host. Speed it does not show.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

import torch
from torch import Tensor

import torchmelinv as tmi
from benchmarks import records
from benchmarks.records import Record
from tests.pretended_device import Record as Counts
from tests.pretended_device import pretended_device, recording
from torchmelinv.corpus.batch_inverter import BatchInverter
from torchmelinv.corpus.batching import BatchLimit
from torchmelinv.corpus.loading import MelItem
from torchmelinv.functional import initial_phase
from torchmelinv.magnitude import MAGNITUDES
from torchmelinv.phase import PHASES
from torchmelinv.phases import LWS, RTISILA

PRESET, N_SAMPLES = "hifigan_22k", 220416  # 10 s
N_ITER, ITEMS = 32, 16
# Iterations whose difference counts, so that what is done once does not: whole rounds of checks.
FEW, MORE = 4, 12
# LWS and RTISI-LA do not iterate on all frames at once.
ITERATED = [name for name, kind in PHASES.items() if kind not in (LWS, RTISILA)]

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


def iterations(device: torch.device) -> dict[str, Callable[[int], Any]]:
    """Return calls with a number of iterations, for a short mel: its length does not matter."""
    mel = mel_of(8192, device)
    magnitude = MAGNITUDES["transpose"](mel.exp(), tmi.MelFilterbank(PRESET))

    def invert(name: str, n_iter: int) -> Tensor:
        options = {"init": "zero", "magnitude": "transpose", "restore": "none", "check": False}
        return tmi.MelInverter(PRESET, phase=name, n_iter=n_iter, **options)(mel)

    return {
        **{name: lambda n_iter, name=name: invert(name, n_iter) for name in ITERATED},
        "torchaudio GriffinLim": lambda n_iter: torchaudio_griffin_lim(n_iter, device)(magnitude),
    }


def count(call: Call) -> Counts:
    """Return the record of a call, after one that makes its tables."""
    call()
    with recording() as record:
        call()
    return record


def launches_of_an_iteration(call: Callable[[int], Any]) -> float:
    """Return the mean number of launches of one iteration."""
    few, more = (count(lambda n_iter=n_iter: call(n_iter)).launches for n_iter in (FEW, MORE))
    return (more - few) / (MORE - FEW)


def measure(names: Container[str] | None = None) -> Record:
    """Count the launches and waits of all calls or of some, and the launches of iterations."""
    with pretended_device() as device, torch.inference_mode():
        counts, steps = (
            {name: measured(call) for name, call in cases.items() if not names or name in names}
            for measured, cases in (
                (count, calls(device)),
                (launches_of_an_iteration, iterations(device)),
            )
        )
    return {
        "calls": {
            name: {"launches": each.launches, "waits": each.waits.total()}
            for name, each in counts.items()
        },
        "iterations": steps,
    }


def main() -> None:
    """Count, and write the file and the tables."""
    from benchmarks import tables  # needs librosa; the counts do not

    torch.set_num_threads(1)
    records.save("launches", {"suite": "launches", **records.environment(), **measure()})
    tables.write_pages()


if __name__ == "__main__":
    main()
