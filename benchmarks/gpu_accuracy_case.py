"""GPU case of accuracy: how far iterations stay from float64, and whether they are reproducible."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from benchmarks.gpu_call_cases import spectral_scores
from benchmarks.gpu_case import Case, Implementation, Run
from benchmarks.gpu_clock import Clock
from benchmarks.gpu_inputs import Scale, Setting
from benchmarks.gpu_step_cases import step_implementations
from benchmarks.records import Record
from torchmelinv.doctor.clock import UninitializedIsNaN
from torchmelinv.doctor.errors import peak_error
from torchmelinv.doctor.inputs import FAST, Inputs, make_problem, method_step, step_inputs
from torchmelinv.phase.accelerated_griffin_lim import AcceleratedState
from torchmelinv.phase.restart import no_distance

FEW = 8  # iterations after which an item must be the same alone and in a batch


def _iterate(step: Run, inputs: Inputs, signal: Tensor, n_iter: int) -> Tensor:
    """Return the signal after iterations from an initial signal."""
    last = previous = signal
    for _ in range(n_iter):
        state = AcceleratedState(last, last, previous, no_distance(last))
        last, previous = step(inputs._replace(state=state)), last
    return last


def accuracy(setting: Setting, batch: int, scale: Scale, clock: Clock) -> Case:
    """Compare with float64 from the same initial signal.

    After one step and after many; two runs with each other; an item alone with the same item in a
    batch.
    """
    items, n_frames = setting.shape(batch, scale)
    inputs = step_inputs(setting.stft, setting.sample_rate, items, n_frames, clock.device, 7)
    magnitude = inputs.problem.target.values
    generator = torch.Generator().manual_seed(5)
    angles = 2 * torch.pi * torch.rand(magnitude.shape, generator=generator).double()
    double = inputs.double(setting.stft)
    spectrum = torch.polar(magnitude.double(), angles.to(clock.device))
    initial = double.problem.plan.inverse(spectrum)

    @functools.lru_cache(maxsize=1)
    def expected() -> tuple[Tensor, Tensor, Tensor]:
        step = method_step("reference", FAST)
        signal = _iterate(step, double, initial, scale.n_long)
        return step(double), *spectral_scores(signal, magnitude.mT, setting)

    def alone(step: Run, item: int) -> Tensor:
        problem = make_problem(setting.stft, magnitude[item : item + 1].contiguous())
        of_item = inputs._replace(problem=problem)
        return _iterate(step, of_item, initial[item : item + 1].float(), FEW)

    def measure(implementation: Implementation) -> Record:
        with UninitializedIsNaN():
            return {"accuracy": values(implementation)}

    def values(implementation: Implementation) -> Record:
        step, initial_signal = implementation.make(1), initial.float()
        single, convergence, distance = expected()
        first, second = (_iterate(step, inputs, initial_signal, scale.n_long) for _ in range(2))
        scores = spectral_scores(first, magnitude.mT, setting)
        batched = _iterate(step, inputs, initial_signal, FEW)
        equal = [
            torch.equal(alone(step, item), batched[item : item + 1]) for item in (0, items - 1)
        ]
        return {
            "step_error": peak_error(step(inputs), single),
            "convergence_error_db": float((scores[0].mean() - convergence.mean()).abs()),
            "log_spectral_error_db": float((scores[1].mean() - distance.mean()).abs()),
            "reproducible": torch.equal(first, second),
            "batch_independent": all(equal),
        }

    implementations = [each for each in step_implementations(setting, FAST) if each.graph is None]
    title = (
        f"accuracy of fast Griffin-Lim, {setting}, batch {batch}, {scale.n_long} iterations from "
        "random phases"
    )
    return Case(
        title, setting, batch, scale.n_long, None, [inputs], implementations, lambda *_: [], measure
    )
