"""`python -m benchmarks.gradients`: what a gradient through the iterations costs, beside torchaudio's, and how large it gets."""

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
from benchmarks import common, tables
from benchmarks.common import Record, check
from torchmelinv import functional, plot
from torchmelinv.conventions import FrameConvention
from torchmelinv.frame import Frame
from torchmelinv.functional import gradient_norm
from torchmelinv.phases import GriffinLim, MelConsistent

FRAME = FrameConvention(n_fft=1024, hop_length=256, padding="center_reflect")
N_FRAMES = 862  # 10 s
N_ITER, MOMENTUM = 32, 0.99
TITLE = f"forward and backward of {N_ITER} iterations of fast Griffin-Lim, 1024/256, 10 s"
PRESET, SAMPLE_RATE, CLIPS, SECONDS = "hifigan_22k", 22050, 5, 2
PICTURE = common.RESULTS / "gradient_norm.svg"
ITERATIONS = (1, 2, 4, 8, 16, 32, 64)
WAYS: dict[str, dict[str, Any]] = {
    "mel_consistent": {},
    "mel_consistent, momentum=0.5": {"momentum": 0.5},
    "mel_consistent without momentum": {"phase": MelConsistent(GriffinLim())},
    "mel_consistent, gradient=2": {"gradient": 2},
    'mel_consistent, gradient="phase_detached"': {"gradient": "phase_detached"},
    "griffin_lim": {"phase": "griffin_lim"},
    "fast_griffin_lim": {"phase": "fast_griffin_lim"},
    "accelerated_griffin_lim": {"phase": "accelerated_griffin_lim"},
    "admm": {"phase": "admm"},
    "raar": {"phase": "raar"},
}


def _by_torchaudio(magnitude: Tensor, n_iter: int = N_ITER, rand_init: bool = True) -> Tensor:
    sizes = (FRAME.n_fft, FRAME.hop_length, FRAME.win_length)
    window = torch.hann_window(FRAME.n_fft, dtype=magnitude.dtype)
    return torchaudio.functional.griffinlim(magnitude, window, *sizes, 1.0, n_iter, MOMENTUM, None, rand_init)


def cost() -> Record:
    """Time and bytes of a backward, ours and torchaudio's, once their gradients were found equal in float64."""
    waveform, source = common.speech(1, FRAME.n_samples(N_FRAMES), SAMPLE_RATE)
    magnitude = Frame(FRAME).analyse(waveform[0]).abs()
    wanted = torch.randn(FRAME.n_samples(N_FRAMES), generator=torch.Generator().manual_seed(0))

    def backward(inversion: Callable[[Tensor], Tensor], leaf: Tensor = magnitude) -> Tensor:
        leaf = leaf.clone().requires_grad_()
        (inversion(leaf) * wanted.to(leaf)).sum().backward()
        assert leaf.grad is not None
        return leaf.grad

    # From zero phase the two are one recursion; 8 iterations do not yet magnify the difference in how they divide by |c|.
    ours = backward(lambda a: functional.fast_griffin_lim(a, FRAME, 8, MOMENTUM, start="zero"), magnitude.double())
    theirs = backward(lambda a: _by_torchaudio(a, 8, rand_init=False), magnitude.double())
    distance = float(torch.linalg.vector_norm(ours - theirs) / torch.linalg.vector_norm(theirs))
    checks = [check("distance from torchaudio's gradient after 8 iterations from zero phase, float64", distance, at_most=1e-6)]
    inversions: dict[str, Callable[[Tensor], Tensor]] = {
        "torchmelinv": lambda a: functional.fast_griffin_lim(a, FRAME, N_ITER, MOMENTUM),
        "torchmelinv, checkpointed": lambda a: functional.fast_griffin_lim(a, FRAME, N_ITER, MOMENTUM, gradient="checkpointed"),
        "torchaudio": _by_torchaudio,
    }
    functional.fast_griffin_lim(magnitude, FRAME, 1)  # makes the table of random phases, which is kept for all calls
    leaf = magnitude.clone().requires_grad_()
    remembered = {name: common.remembered(lambda run=run: run(leaf)) for name, run in inversions.items()}
    fewer = remembered["torchaudio"] / remembered["torchmelinv"]
    checks.append(check("bytes remembered, torchaudio over ours", fewer, at_least=8))
    contestants = {name: lambda run=run: backward(run) for name, run in inversions.items()}
    seconds, rounds = common.alternate(contestants)
    faster = {name: round(common.ratio(seconds, name, "torchmelinv"), 3) for name in contestants if name != "torchmelinv"}
    return {
        "title": TITLE, "ours": "torchmelinv", "seconds": seconds, "rounds": rounds, "times_faster": faster,
        "at_least": {"torchaudio": 2}, "checks": checks, "remembered_bytes": remembered, "signal": source,
    }  # fmt: skip


def norms() -> Record:
    """`gradient_norm` by way and number of iterations: median over clips of speech."""
    waveform, source = common.speech(CLIPS, SECONDS * SAMPLE_RATE, SAMPLE_RATE)
    mel = tmi.MelAnalyzer(PRESET)(waveform)
    found = {}
    for name, options in tqdm(WAYS.items(), unit="way"):
        inverters = [tmi.MelInverter(PRESET, n_iter=n_iter, **options) for n_iter in ITERATIONS]
        found[name] = [float(f"{statistics.median(gradient_norm(inverter, mel).tolist()):.4g}") for inverter in inverters]
    return {"iterations": list(ITERATIONS), "ways": found, "preset": PRESET, "signal": source}


def draw(record: Record) -> Figure:
    """Gradient norm against iterations, one line a way; what grows beyond the picture stands in the table."""
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axis = figure.subplots()
    for name, values in record["ways"].items():
        joint = name.startswith("mel_consistent")
        axis.plot(record["iterations"], values, marker="o", markersize=3, linestyle="-" if joint else "--", label=name)
    axis.set(xscale="log", yscale="log", xlabel="iterations", ylabel="gradient norm, ‖∂y/∂mel‖ / ‖y‖", ylim=(0.3, 3e3))
    axis.set_xticks(record["iterations"], map(str, record["iterations"]))
    axis.minorticks_off()
    axis.grid(alpha=0.3)
    axis.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def main() -> int:
    """Measure, write `results/gradients.json`, the picture and the table, and say whether the target is missed."""
    torch.set_num_threads(common.THREADS)
    record: Record = {"suite": "gradients", **common.surroundings(), "repeats": common.REPEATS}
    record |= {"cases": [cost()], "norms": norms()}
    common.save("gradients", record)
    plot.save(draw(record["norms"]), PICTURE)
    tables.write_pages()
    times = record["cases"][0]["times_faster"]["torchaudio"]
    print(f"torchaudio takes {times:.2f} times as long as ours" + ("" if times >= 2 else ", and not 2: missed"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
