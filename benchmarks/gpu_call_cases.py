"""GPU cases of whole calls: fast Griffin-Lim on magnitudes."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from benchmarks import gpu_work
from benchmarks.gpu_case import Case, Implementation, Make, Run, by_torchaudio, with_graph
from benchmarks.gpu_clock import Clock
from benchmarks.gpu_inputs import Scale, Setting, input_sets, magnitudes
from benchmarks.records import Record, check
from torchmelinv.cuda.backend import backend
from torchmelinv.doctor.errors import norm_error
from torchmelinv.doctor.inputs import MOMENTUM
from torchmelinv.functional import magnitude_to_waveform
from torchmelinv.metrics import log_spectral_distance_db, spectral_convergence_db
from torchmelinv.phases import GriffinLim
from torchmelinv.transforms.stft import STFT

FEW = 2  # iterations after which waveforms still agree, so that they can be compared
CALL_ERROR = 5e-4  # of the norm after few iterations; plain torch in float32 has up to 4.6e-5
CONVERGENCE_DB = 0.05  # largest difference of an item's spectral convergence from float64's


def spectral_scores(waveform: Tensor, magnitude: Tensor, setting: Setting) -> tuple[Tensor, Tensor]:
    """Return spectral convergence and log-spectral distance of each item, in float64."""
    pair = STFT(setting.stft)(waveform.double()).abs(), magnitude.double()
    return spectral_convergence_db(*pair), log_spectral_distance_db(*pair)


def by_function(setting: Setting, name: str, n_iter: int) -> Run:
    """Return the public function under a backend."""

    @torch.no_grad()
    def run(magnitude: Tensor) -> Tensor:
        with backend(name):
            return magnitude_to_waveform(
                magnitude, setting.stft, GriffinLim(MOMENTUM), n_iter, init="zero"
            )

    return run


def call(setting: Setting, batch: int, scale: Scale, clock: Clock) -> Case:
    """Compare fast Griffin-Lim from zero phase, where torchaudio's recursion is the same."""
    items, n_frames = setting.shape(batch, scale)
    sets = input_sets(clock, functools.partial(magnitudes, setting, items, n_frames, clock.device))

    @functools.lru_cache(maxsize=4)
    def expected(index: int, n_iter: int) -> tuple[Tensor, Tensor]:
        waveform = by_function(setting, "reference", n_iter)(sets[index].double())
        return waveform, spectral_scores(waveform, sets[index], setting)[0]

    def checks(_: Implementation, make: Make, index: int, result: Tensor) -> list[Record]:
        error = norm_error(make(FEW)(sets[index]), expected(index, FEW)[0])
        convergence = spectral_scores(result, sets[index], setting)[0]
        difference = (convergence - expected(index, scale.n_iter)[1]).abs().max()
        what = (
            f"spectral convergence minus float64's, {scale.n_iter} iterations, largest of a batch"
        )
        return [
            check(f"relative error after {FEW} iterations", error, at_most=CALL_ERROR),
            check(f"{what}, dB", float(difference), at_most=CONVERGENCE_DB),
        ]

    plain, kernels = (
        functools.partial(by_function, setting, name) for name in ("reference", "cuda")
    )
    implementations = [
        # torchaudio waits for the device, so it has no graph
        Implementation(
            "torchaudio", lambda n_iter: torch.no_grad()(by_torchaudio(setting, n_iter))
        ),
        *with_graph("plain torch", plain, "each"),
        *with_graph("kernels", kernels, "each", "call", setting.family),
    ]
    title = f"fast Griffin-Lim, {scale.n_iter} iterations, {setting}, batch {batch}"
    work = gpu_work.fast_griffin_lim(setting.stft).of(items * n_frames)
    return Case(title, setting, batch, scale.n_iter, work, sets, implementations, checks)
