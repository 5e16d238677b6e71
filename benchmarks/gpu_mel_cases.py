"""The cases around the iteration: the entropic inverse, starts, mel to waveform, and a way back through all iterations."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch
import torchaudio
from torch import Tensor
from torch.nn.functional import pad

import torchmelinv as tmi
from benchmarks import gpu_inputs
from benchmarks.common import Record, check
from benchmarks.gpu_cases import FEW, PRESET, by_torchaudio, magnitudes, norm_distance
from benchmarks.gpu_clock import Clock
from benchmarks.gpu_inputs import MAIN, MOMENTUM, Case, Contender, Make, Run, Scale, input_sets, waveforms, with_graph
from torchmelinv import functional
from torchmelinv.frame import Frame
from torchmelinv.magnitude.entropic import entropic, entropic_solve
from torchmelinv.ops.backend import backend

# Of plain torch in float32 beside float64 were measured: a magnitude 1e-7 of the norm, angles 5e-5, a mel error 1e-5 dB.
MAGNITUDE_ERROR = 3e-6  # of the norm
OWN_RESIDUAL, PEERS_RESIDUAL = 1e-5, 0.5  # ‖Ms − m‖ / ‖m‖; the peer solves another problem
FAR, MOST_FAR = 1e-3, 0.01  # radians on the circle, and how many of the angles: a tie that falls otherwise turns a part of them
MEL_ERROR_DB = 0.01
NEAR = 0.1  # radians from the true angles, where our gradient is checked
PEERS_GRADIENT_ERROR = 1e-6  # of the norm, in float64
# A norm would be that of the few values with a small |c|, which float32 does not know: so the median error, of the median value,
# and how many of the values are off by more than a hundredth of themselves and the median.
MEDIAN_ERROR, OFF, MOST_OFF = 1e-4, 1e-2, 0.05


def _signals(items: int, n_frames: int, clock: Clock, seed: int) -> Tensor:
    return waveforms(items, tmi.preset(PRESET).n_samples(n_frames), MAIN.sample_rate, clock.device, seed)


def _inverse_mel_scale(device: torch.device) -> torchaudio.transforms.InverseMelScale:
    convention = tmi.preset(PRESET)
    return torchaudio.transforms.InverseMelScale(
        convention.n_freqs, convention.n_mels, int(convention.sample_rate), convention.f_min, convention.f_max,
        norm=convention.filter_norm, mel_scale=convention.mel_scale,
    ).to(device)  # fmt: skip


def inverse(batch: int, scale: Scale, clock: Clock) -> Case:
    """Mels to magnitudes. torchaudio's least squares give other magnitudes, farther from the mel: its residual stands by."""
    items, n_frames = MAIN.shape(batch, scale)
    analyzer, filterbank = tmi.MelAnalyzer(PRESET), tmi.MelFilterbank(tmi.preset(PRESET))
    sets = input_sets(clock, lambda seed: analyzer.linear(_signals(items, n_frames, clock, seed)).contiguous())

    def by(name: str, _: int = 1) -> Run:
        @torch.no_grad()
        def run(mel: Tensor) -> Tensor:
            with backend(name):
                return entropic(mel, filterbank)

        return run

    expected = functools.lru_cache(maxsize=2)(lambda index: by("reference")(sets[index].double()))

    def checks(contender: Contender, _: Make, index: int, found: Tensor) -> list[Record]:
        residual, what = norm_distance(filterbank(found.double()), sets[index].double()), "residual ‖Ms − m‖ / ‖m‖"
        if contender.name == "torchaudio InverseMelScale":
            return [check(what, residual, at_most=PEERS_RESIDUAL)]
        apart = norm_distance(found, expected(index))
        return [
            check(what, residual, at_most=OWN_RESIDUAL),
            check("distance from float64's magnitude, of the norm", apart, at_most=MAGNITUDE_ERROR),
        ]

    contenders = [
        Contender("torchaudio InverseMelScale", lambda _: torch.no_grad()(_inverse_mel_scale(clock.device))),
        Contender("plain torch", functools.partial(by, "reference")),
        *with_graph("kernels", functools.partial(by, "cuda"), "each", "newton"),
    ]
    steps = float(entropic_solve(sets[0], filterbank).steps.double().mean())
    work = gpu_inputs.entropic(filterbank.n_freqs, filterbank.n_mels, steps).of(items * n_frames)
    title = f"entropic magnitude of {items * n_frames} frames, {PRESET}, {steps:.3g} Newton steps of each"
    return Case(title, MAIN, batch, 1, work, sets, contenders, checks)


def start(batch: int, scale: Scale, clock: Clock) -> Case:
    """Angles read off a magnitude."""
    items, n_frames = MAIN.shape(batch, scale)
    sets = [magnitudes(MAIN, items, n_frames, clock.device, seed) for seed in range(2)]

    def by(kind: str, name: str, _: int = 1) -> Run:
        def run(magnitude: Tensor) -> Tensor:
            with backend(name):
                return functional.start_angles(magnitude, MAIN.frame, kind)

        return run

    expected = functools.lru_cache(maxsize=4)(lambda index, kind: by(kind, "reference")(sets[index].double()))

    def checks(contender: Contender, _: Make, index: int, found: Tensor) -> list[Record]:
        turned = (found.double() - expected(index, contender.name.split(", ")[1])).remainder(2 * math.pi)
        near = torch.minimum(turned, 2 * math.pi - turned) <= FAR
        what = f"part of the angles farther than {FAR:g} from float64's, on the circle"
        return [check(what, 1 - float(near.double().mean()), at_most=MOST_FAR)]

    contenders = [
        Contender(f"{label}, {kind}", functools.partial(by, kind, name), None, () if name == "reference" else (kind,))
        for kind in ("spsi", "pghi") for label, name in (("plain torch", "reference"), ("kernels", "cuda"))
    ]  # fmt: skip
    return Case(f"angles of a start, {MAIN}, batch {batch}", MAIN, batch, 1, None, sets, contenders, checks)


def to_waveform(batch: int, scale: Scale, clock: Clock) -> Case:
    """What a user calls: a mel as a model makes it to a waveform; torchaudio is given the mel without its logarithm."""
    items, n_frames = MAIN.shape(batch, scale)
    convention, analyzer = tmi.preset(PRESET), tmi.MelAnalyzer(PRESET)
    sets = [analyzer(_signals(items, n_frames, clock, seed)) for seed in range(2)]
    linear = [analyzer.linear(_signals(items, n_frames, clock, seed)) for seed in range(2)]

    def by_peer(n_iter: int) -> Run:
        """As in peers.py: frames of a same-padded mel are centred half a hop inside."""
        n_fft, hop_length = convention.n_fft, convention.hop_length
        griffin_lim = torchaudio.transforms.GriffinLim(n_fft, n_iter, hop_length=hop_length, power=1.0, momentum=MOMENTUM)
        griffin_lim, inverse_mel, half = griffin_lim.to(clock.device), _inverse_mel_scale(clock.device), hop_length // 2

        @torch.no_grad()
        def run(mel: Tensor) -> Tensor:
            magnitude = inverse_mel(mel.exp())  # what the logarithm's floor added is a hundred-thousandth
            return griffin_lim(pad(magnitude, (1, 1), mode="replicate"))[:, half:-half]

        return run

    def by(name: str, n_iter: int) -> Run:
        inverter = tmi.MelInverter(PRESET, n_iter=n_iter)

        @torch.no_grad()
        def run(mel: Tensor) -> Tensor:
            with backend(name):
                return inverter(mel)

        return run

    def error_db(index: int, waveform: Tensor) -> float:
        return float(functional.mel_error_db(analyzer.linear(waveform.double()), linear[index].double()).mean())

    expected = functools.lru_cache(maxsize=2)(
        lambda index: error_db(index, by("reference", scale.n_iter)(sets[index].double()))
    )

    def checks(contender: Contender, _: Make, index: int, found: Tensor) -> list[Record]:
        error = error_db(index, found)
        if contender.name == "torchaudio":  # another method, whose error stands beside ours
            return [check("mel error, dB", error, at_most=0)]
        apart = abs(error - expected(index))
        return [check("mel error, dB", error, at_most=0), check("of it, from float64's", apart, at_most=MEL_ERROR_DB)]

    uses = ("whole", "newton", "pghi", f"{MAIN.family} pull", MAIN.family)
    contenders = [
        Contender("torchaudio", by_peer),
        Contender("plain torch", functools.partial(by, "reference")),
        Contender("kernels", functools.partial(by, "cuda"), None, uses),
    ]
    title = f"mel to waveform, {PRESET}, {scale.n_iter} iterations, batch {batch}"
    return Case(title, MAIN, batch, scale.n_iter, None, sets, contenders, checks)


# There and back


def _loss(forward: Run, inputs: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Of a magnitude (items, n_freqs, n_frames) and what the waveform is multiplied by: a leaf, and the loss made of it."""
    leaf = inputs[0].detach().requires_grad_()
    return leaf, (forward(leaf) * inputs[1]).sum()


def _gradient(forward: Run) -> Run:
    def run(inputs: tuple[Tensor, Tensor]) -> Tensor:
        leaf, loss = _loss(forward, inputs)
        return torch.autograd.grad(loss, leaf)[0]

    return run


def _parts(forward: Run, inputs: tuple[Tensor, Tensor]) -> dict[str, Callable[[], object]]:
    """The two halves, apart."""
    kept: list[Tensor] = []
    return {"forward": lambda: kept.extend(_loss(forward, inputs)), "backward": lambda: torch.autograd.grad(kept[1], kept[0])}


def gradient(batch: int, scale: Scale, clock: Clock) -> Case:
    """Forward and backward of all iterations, and the most memory that each of the two takes.

    From zero phase |c| is near 0 somewhere, and float32 does not know the gradient there: ours is checked from angles near the
    true ones. torchaudio's, which starts nowhere else, is checked in float64.
    """
    items, n_frames = MAIN.shape(batch, scale)
    n_samples = MAIN.frame.n_samples(n_frames)

    def normal(seed: int, *shape: int) -> Tensor:
        return torch.randn(shape, generator=torch.Generator(clock.device).manual_seed(seed), device=clock.device)

    def angles(seed: int) -> Tensor:
        true = Frame(MAIN.frame).analyse(waveforms(items, n_samples, MAIN.sample_rate, clock.device, seed)).angle()
        return true + NEAR * normal(seed, *true.shape)

    def by(name: str, mode: str, n_iter: int, start: str | Tensor = "zero") -> Run:
        def run(magnitude: Tensor) -> Tensor:
            with backend(name):
                return functional.fast_griffin_lim(magnitude, MAIN.frame, n_iter, MOMENTUM, start=start, gradient=mode)

        return by_torchaudio(MAIN, n_iter) if name == "torchaudio" else run

    sets = input_sets(clock, lambda seed: (magnitudes(MAIN, items, n_frames, clock.device, seed), normal(seed, items, n_samples)))

    def checks(contender: Contender, _: Make, index: int, found: Tensor) -> list[Record]:
        (name, mode, _), own, after = which[contender.name], contender.name != "torchaudio", f"after {FEW} iterations"
        first, double = angles(index) if own else "zero", tuple(each.double() for each in sets[index])
        expected = _gradient(by("reference", "unrolled", FEW, first))(double)
        reached = _gradient(by(name, mode, FEW, first))(sets[index] if own else double)
        error, size, middle = (reached.double() - expected).abs(), expected.abs(), expected.abs().median()
        what = f"values of the gradient of {scale.n_iter} iterations that are not finite"
        entries = [check(what, float((~found.isfinite()).sum()), at_most=0)]
        if not own:
            what, apart = f"distance of the gradient from float64's {after}, of the norm", norm_distance(reached, expected)
            return [*entries, check(what, apart, at_most=PEERS_GRADIENT_ERROR)]
        off = float((~(error <= OFF * (size + middle))).double().mean())
        what = f"median error of the gradient {after}, of the median value"
        entries.append(check(what, float(error.median() / middle), at_most=MEDIAN_ERROR))
        return [*entries, check(f"part of the gradient's values that are off by {OFF:g} {after}", off, at_most=MOST_OFF)]

    family = MAIN.family
    which: dict[str, tuple[str, str, tuple[str, ...]]] = {
        "torchaudio": ("torchaudio", "", ()),
        "plain torch": ("reference", "unrolled", ()),
        "kernels": ("cuda", "unrolled", ("gradient", family)),
        "kernels, checkpointed": ("cuda", "checkpointed", ("gradient", family)),
    }
    contenders = [
        Contender(
            label, lambda n_iter, way=way: _gradient(by(*way[:2], n_iter)), None, way[2],
            lambda inputs, way=way: _parts(by(*way[:2], scale.n_iter), inputs),
        )
        for label, way in which.items()
    ]  # fmt: skip
    title = f"forward and backward of {scale.n_iter} iterations of fast Griffin-Lim, {MAIN}, batch {batch}"
    work = gpu_inputs.forward_and_backward(MAIN.frame).of(items * n_frames)
    return Case(title, MAIN, batch, scale.n_iter, work, sets, contenders, checks)
