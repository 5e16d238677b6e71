"""`python -m benchmarks.gradients`: cost of gradients against torchaudio's, and their norm."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from typing import Any

import torch
import torchaudio
from matplotlib.figure import Figure
from torch import Tensor
from tqdm import tqdm

import torchmelinv as tmi
from benchmarks import measurement, records, tables
from benchmarks.measurement import alternate, ratios, saved_bytes
from benchmarks.recordings import speech
from benchmarks.records import Record, check
from torchmelinv import plot
from torchmelinv.functional import magnitude_to_waveform
from torchmelinv.metrics import gradient_norm
from torchmelinv.phases import GriffinLim, MelConsistent

CONVENTION = tmi.STFTConvention(n_fft=1024, hop_length=256, padding="center_reflect")
N_FRAMES = 862  # 10 s
N_ITER, MOMENTUM = 32, 0.99
TITLE = f"forward and backward of {N_ITER} iterations of fast Griffin-Lim, 1024/256, 10 s"
PRESET, SAMPLE_RATE, CLIPS, SECONDS = "hifigan_22k", 22050, 5, 2
FIGURE = records.RESULTS / "gradient_norm.svg"
TARGET = 2.0  # speed relative to torchaudio
ITERATIONS = (1, 2, 4, 8, 16, 32, 64)
METHODS: dict[str, dict[str, Any]] = {
    "mel_consistent": {"phase": "mel_consistent"},
    "mel_consistent, momentum=0.5": {"phase": "mel_consistent", "momentum": 0.5},
    "mel_consistent without momentum": {"phase": MelConsistent(GriffinLim())},
    "mel_consistent, gradient=2": {"phase": "mel_consistent", "gradient": 2},
    'mel_consistent, gradient="phase_detached"': {
        "phase": "mel_consistent",
        "gradient": "phase_detached",
    },
    "griffin_lim": {"phase": "griffin_lim"},
    "fast_griffin_lim": {"phase": "fast_griffin_lim"},
    "accelerated_griffin_lim": {"phase": "accelerated_griffin_lim"},
    "admm": {"phase": "admm"},
    "raar": {"phase": "raar"},
}


def _ours(magnitude: Tensor, n_iter: int = N_ITER, init: str = "random", **options: Any) -> Tensor:
    method = GriffinLim(MOMENTUM)
    return magnitude_to_waveform(magnitude, CONVENTION, method, n_iter, init=init, **options)


def _torchaudio(magnitude: Tensor, n_iter: int = N_ITER, rand_init: bool = True) -> Tensor:
    sizes = (CONVENTION.n_fft, CONVENTION.hop_length, CONVENTION.win_length)
    window = torch.hann_window(CONVENTION.n_fft, dtype=magnitude.dtype)
    return torchaudio.functional.griffinlim(
        magnitude, window, *sizes, 1.0, n_iter, MOMENTUM, None, rand_init
    )


def cost() -> Record:
    """Measure time and memory of backward, ours and torchaudio's, after comparing the gradients."""
    waveform, source = speech(1, CONVENTION.n_samples(N_FRAMES), SAMPLE_RATE)
    magnitude = tmi.STFT(CONVENTION)(waveform[0]).abs()
    generator = torch.Generator().manual_seed(0)
    direction = torch.randn(CONVENTION.n_samples(N_FRAMES), generator=generator)

    def backward(function: Callable[[Tensor], Tensor], leaf: Tensor = magnitude) -> Tensor:
        leaf = leaf.clone().requires_grad_()
        (function(leaf) * direction.to(leaf)).sum().backward()
        assert leaf.grad is not None
        return leaf.grad

    # From zero phase both are the same recursion. They divide by |c| differently; 8 iterations do
    # not amplify the difference yet.
    double = magnitude.double()
    ours = backward(lambda a: _ours(a, 8, "zero"), double)
    expected = backward(lambda a: _torchaudio(a, 8, rand_init=False), double)
    error = torch.linalg.vector_norm(ours - expected) / torch.linalg.vector_norm(expected)
    what = "relative difference from torchaudio's gradient, 8 iterations from zero phase, float64"
    checks = [check(what, float(error), at_most=1e-6)]
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "torchmelinv": _ours,
        "torchmelinv, checkpointed": lambda a: _ours(a, gradient="checkpointed"),
        "torchaudio": _torchaudio,
    }
    _ours(magnitude, 1)  # builds the table of random phases, which is cached
    leaf = magnitude.clone().requires_grad_()
    saved = {name: saved_bytes(lambda f=f: f(leaf)) for name, f in functions.items()}
    fewer = saved["torchaudio"] / saved["torchmelinv"]
    checks.append(check("saved bytes, torchaudio over torchmelinv", fewer, at_least=8))
    seconds, rounds = alternate({name: lambda f=f: backward(f) for name, f in functions.items()})
    return {
        "title": TITLE,
        "ours": "torchmelinv",
        "seconds": seconds,
        "rounds": rounds,
        "times_faster": ratios(seconds, "torchmelinv"),
        "targets": {"torchaudio": TARGET},
        "checks": checks,
        "saved_bytes": saved,
        "signal": source,
    }


def norms() -> Record:
    """Measure `gradient_norm` by method and number of iterations; medians over clips of speech."""
    waveform, source = speech(CLIPS, SECONDS * SAMPLE_RATE, SAMPLE_RATE)
    mel = tmi.MelSpectrogram(PRESET)(waveform)
    medians = {}
    for name, options in tqdm(METHODS.items(), unit="method"):
        inverters = [tmi.MelInverter(PRESET, n_iter=n_iter, **options) for n_iter in ITERATIONS]
        values = [statistics.median(gradient_norm(each, mel).tolist()) for each in inverters]
        medians[name] = [float(f"{value:.4g}") for value in values]
    return {
        "iterations": list(ITERATIONS),
        "methods": medians,
        "preset": PRESET,
        "signal": source,
    }


def draw(record: Record) -> Figure:
    """Plot the gradient norm against the iterations; larger values are in the table only."""
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axis, counts = figure.subplots(), record["iterations"]
    for name, values in record["methods"].items():
        style = "-" if name.startswith("mel_consistent") else "--"
        axis.plot(counts, values, marker="o", markersize=3, linestyle=style, label=name)
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="iterations",
        ylabel="gradient norm, ‖∂y/∂mel‖ / ‖y‖",
        ylim=(0.3, 3e3),
    )
    axis.set_xticks(counts, map(str, counts))
    axis.minorticks_off()
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def main() -> int:
    """Measure, write `results/gradients.json`, the figure and the tables, and print the target."""
    torch.set_num_threads(measurement.THREADS)
    record: Record = {
        "suite": "gradients",
        **records.environment(),
        "repeats": measurement.REPEATS,
    }
    record |= {"cases": [cost()], "norms": norms()}
    records.save("gradients", record)
    plot.save(draw(record["norms"]), FIGURE)
    tables.write_pages()
    speed = record["cases"][0]["times_faster"]["torchaudio"]
    verdict = "reached" if speed >= TARGET else "not reached"
    print(f"speed relative to torchaudio: {speed:.2f}, target {TARGET:g}: {verdict}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
