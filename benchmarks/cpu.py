"""`python -m benchmarks.cpu`: how fast, beside torchaudio and librosa on one CPU. Each case is checked before it is timed."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import librosa
import numpy as np
import torch
import torchaudio
from torch import Tensor
from tqdm import tqdm

import torchmelinv as tmi
from benchmarks import common, peers, tables
from benchmarks.common import Record, check
from benchmarks.transcription import fast_griffin_lim_by_hand, mel_consistent_by_hand, stft
from torchmelinv import functional
from torchmelinv.conventions import FrameConvention, MelConvention
from torchmelinv.frame import Frame
from torchmelinv.joint.mel_consistent import MelConsistent
from torchmelinv.magnitude.entropic import entropic
from torchmelinv.phase.griffin_lim import GriffinLim
from torchmelinv.phase.method import MagnitudeTarget, PhaseProblem
from torchmelinv.phase.retrieve import retrieve

FRAME = FrameConvention(n_fft=1024, hop_length=256, padding="center_reflect")
SAMPLE_RATE = 22050
N_FRAMES = 862  # 10 s
N_ITER, MOMENTUM = 32, 0.99


class Case(NamedTuple):
    """One line of the table."""

    title: str
    ours: str
    contestants: dict[str, Callable[[], object]]
    at_least: dict[str, float]  # peer: how many times faster than it we mean to be
    checks: list[Record]
    notes: Record


def convergence_db(waveforms: Tensor, magnitudes: Tensor) -> list[float]:
    """20 log10(‖|STFT(x)| − A‖ / ‖A‖) of each item, by the transcription's own transform."""
    pairs = zip(waveforms.double().numpy(), magnitudes.double().numpy(), strict=True)
    spectra = [(np.abs(stft(waveform, FRAME)), magnitude) for waveform, magnitude in pairs]
    return [20 * np.log10(np.linalg.norm(found - wanted) / np.linalg.norm(wanted)) for found, wanted in spectra]


def fast_griffin_lim(batch: int) -> Case:
    """Ours, torchaudio's and librosa's fast Griffin-Lim on the same magnitudes; their random starts differ."""
    waveform, source = common.speech(batch, FRAME.n_samples(N_FRAMES), SAMPLE_RATE)
    spectra = [stft(item, FRAME) for item in waveform.double().numpy()]
    magnitude = torch.from_numpy(np.abs(spectra)).float()
    angles = 2 * np.pi * np.random.default_rng(0).random(magnitude.shape[1:])
    expected = fast_griffin_lim_by_hand(magnitude[0].double().numpy(), angles, FRAME, 4, MOMENTUM)
    found = functional.fast_griffin_lim(magnitude[0], FRAME, 4, MOMENTUM, start=torch.from_numpy(angles)).numpy()
    distance = np.abs(found - expected).max() / np.abs(expected).max()
    window, array = torch.hann_window(FRAME.n_fft), magnitude.numpy()

    def by_torchaudio(rand_init: bool = True) -> Tensor:
        sizes = (FRAME.n_fft, FRAME.hop_length, FRAME.win_length)
        return torchaudio.functional.griffinlim(magnitude, window, *sizes, 1.0, N_ITER, MOMENTUM, None, rand_init)

    def by_librosa(init: str | None = "random") -> Tensor:
        found = librosa.griffinlim(
            array, n_iter=N_ITER, hop_length=FRAME.hop_length, momentum=MOMENTUM, pad_mode="reflect", init=init, random_state=0
        )
        return torch.from_numpy(found)

    def ours(start: str = "random") -> Tensor:
        return functional.fast_griffin_lim(magnitude, FRAME, N_ITER, MOMENTUM, start=start)

    def reached(results: dict[str, Tensor]) -> dict[str, float]:
        return {name: float(np.mean(convergence_db(waveforms, magnitude))) for name, waveforms in results.items()}

    # From one start the three are one recursion. From random ones each clip ends several dB apart: those figures are only noted.
    torch.manual_seed(0)
    same = reached({"torchmelinv": ours("zero"), "torchaudio": by_torchaudio(False), "librosa": by_librosa(None)})
    free = reached({"torchmelinv": ours(), "torchaudio": by_torchaudio(), "librosa": by_librosa()})
    checks = [check("distance from a float64 transcription after 4 iterations, of the peak", float(distance), at_most=1e-4)]
    for peer in ("torchaudio", "librosa"):
        what = f"spectral convergence behind {peer} after {N_ITER} iterations from zero phase, dB"
        checks.append(check(what, same["torchmelinv"] - same[peer], at_most=0.5))
    return Case(
        f"fast Griffin-Lim, {N_ITER} iterations, {FRAME.n_fft}/{FRAME.hop_length}, 10 s, batch {batch}",
        "torchmelinv",
        {"torchmelinv": ours, "torchaudio": by_torchaudio, "librosa": by_librosa},
        {"torchaudio": 3.0, "librosa": 2.5},
        checks,
        {"spectral_convergence_db": {"from zero phase": same, "from random phases": free}, "signal": source},
    )


class Inversion(NamedTuple):
    """The mel of 10 s of speech, and where an iteration on it starts."""

    convention: MelConvention
    mel: Tensor  # linear, (n_mels, n_frames)
    magnitude: Tensor  # entropic, (n_freqs, n_frames)
    angles: Tensor
    source: str


def _inversion() -> Inversion:
    convention = tmi.preset("hifigan_22k")
    waveform, source = common.speech(1, convention.n_samples(N_FRAMES), SAMPLE_RATE)
    mel = tmi.MelAnalyzer(convention).linear(waveform[0])
    magnitude = entropic(mel, tmi.MelFilterbank(convention))
    angles = torch.from_numpy(2 * np.pi * np.random.default_rng(0).random(magnitude.shape)).float()
    return Inversion(convention, mel, magnitude, angles, source)


def mel_consistent() -> Case:
    """Iterations that keep the mel beside iterations that keep a magnitude, from the same magnitude and angles."""
    given = _inversion()
    filterbank = tmi.MelFilterbank(given.convention)

    def iterations(how: MelConsistent | GriffinLim, n_iter: int = N_ITER) -> Tensor:
        joint = isinstance(how, MelConsistent)
        wanted = how.wanted(given.mel, filterbank, given.convention) if joint else None
        method = how.method if joint else how
        return retrieve(method, given.magnitude, given.convention, n_iter, start=given.angles, wanted=wanted).waveform

    usual, fast = MelConsistent(), MelConsistent(GriffinLim(MOMENTUM))
    arrays = [each.double().numpy() for each in (given.mel, given.magnitude, given.angles)]
    checks = []
    for n_iter in (1, 3):
        expected = mel_consistent_by_hand(*arrays, given.convention, n_iter)
        distance = np.abs(iterations(usual, n_iter).numpy() - expected).max() / np.abs(expected).max()
        what = f"distance from a dense float64 transcription, {n_iter} iterations, of the peak"
        checks.append(check(what, float(distance), at_most=1e-4))
    contestants: dict[str, Callable[[], object]] = {
        "mel_consistent": lambda: iterations(usual),
        "mel_consistent, GriffinLim(0.99)": lambda: iterations(fast),
        "fast_griffin_lim": lambda: iterations(GriffinLim(MOMENTUM)),
    }
    title = f"{N_ITER} mel-consistent iterations beside {N_ITER} of fast Griffin-Lim, hifigan_22k, 10 s"
    # an iteration may take 1.6 times that of Griffin-Lim
    return Case(title, "mel_consistent", contestants, {"fast_griffin_lim": 1 / 1.6}, checks, {"signal": given.source})


def starts() -> Case:
    """What a start that is read off the magnitude takes beside one iteration of fast Griffin-Lim."""
    given = _inversion()
    frame, method = Frame(given.convention), GriffinLim(MOMENTUM)
    rows = given.magnitude.mT[None].contiguous()
    plan = frame.plan(N_FRAMES, given.convention.n_samples(N_FRAMES), rows)
    problem = PhaseProblem(MagnitudeTarget(rows), plan)
    state = method.init(problem, torch.polar(rows, given.angles.mT[None]))
    contestants: dict[str, Callable[[], object]] = {"an iteration": lambda: method.step(problem, state)}
    chance = convergence_of(given, "random")
    checks = []
    for name in ("spsi", "pghi"):
        contestants[name] = functools.partial(functional.start_angles, given.magnitude, frame, name)
        what = f"spectral convergence from {name} behind that from random phases, no iterations, dB"
        checks.append(check(what, convergence_of(given, name) - chance, at_most=-3))
    return Case(
        "a start beside one iteration of fast Griffin-Lim, hifigan_22k, 10 s", "an iteration", contestants, {}, checks,
        {"signal": given.source},
    )  # fmt: skip


def convergence_of(given: Inversion, start: str) -> float:
    """Spectral convergence towards the magnitude without any iteration, dB."""
    waveform = retrieve(GriffinLim(), given.magnitude, given.convention, 0, start=start).waveform
    found = Frame(given.convention).analyse(waveform).abs()
    return float(functional.spectral_convergence_db(found, given.magnitude))


def magnitude_inverse(power: int) -> Case:
    """The entropic inverse beside librosa's non-negative least squares; our other methods for information."""
    convention = tmi.preset("hifigan_22k", power=power, magnitude_offset=0.0)
    filterbank = tmi.MelFilterbank(convention)
    waveform, source = common.speech(1, convention.n_samples(N_FRAMES), SAMPLE_RATE)
    mel = filterbank(tmi.MelAnalyzer(convention).magnitude(waveform[0].double()))
    single, matrix = mel.float(), peers.librosa_filterbank(convention)
    contestants: dict[str, Callable[[], object]] = {"entropic": lambda: entropic(single, filterbank)}
    contestants["librosa.util.nnls"] = lambda: librosa.util.nnls(matrix, single.numpy())
    for name in ("least_distance", "nnls", "pinv"):
        contestants[name] = functools.partial(getattr(functional, name), single, filterbank)

    def residual(spectrum: object) -> float:
        found = filterbank.table @ torch.as_tensor(spectrum).double()
        return float(torch.linalg.vector_norm(found - mel) / torch.linalg.vector_norm(mel))

    residuals = {name: residual(run()) for name, run in contestants.items()}
    smaller = residuals["librosa.util.nnls"] / residuals["entropic"]
    checks = [
        peers.filterbank_check(filterbank, matrix),
        check("residual ‖Ms − m‖ / ‖m‖, librosa.util.nnls over entropic", smaller, at_least=100),
    ]
    title = f"magnitude of {convention.n_mels} mels, power {power}, 10 s"
    return Case(title, "entropic", contestants, {"librosa.util.nnls": 20.0}, checks, {"residual": residuals, "signal": source})


def end_to_end() -> Case:
    """Mel to waveform: `MelInverter` beside `mel_to_stft` + `griffinlim` and `InverseMelScale` + `GriffinLim`."""
    convention = tmi.preset("hifigan_22k")
    waveform, source = common.speech(1, convention.n_samples(N_FRAMES), SAMPLE_RATE)
    analyzer, inverter = tmi.MelAnalyzer(convention), tmi.MelInverter(convention, n_iter=N_ITER)
    by_torchaudio = peers.TorchaudioInverter(convention, N_ITER)
    log_mel, linear = analyzer(waveform[0]), analyzer.linear(waveform[0])
    contestants: dict[str, Callable[[], Tensor]] = {
        "torchmelinv": lambda: inverter(log_mel),
        "torchaudio": lambda: by_torchaudio(linear),
        "librosa": lambda: peers.librosa_waveform(linear, convention, N_ITER),
    }
    error_db = {name: float(functional.mel_error_db(analyzer.linear(run()), linear)) for name, run in contestants.items()}
    checks = [check(f"mel error behind {peer}, dB", error_db["torchmelinv"] - error_db[peer], at_most=0) for peer in error_db]
    title = f"mel to waveform, hifigan_22k, {N_ITER} iterations, 10 s"
    return Case(title, "torchmelinv", contestants, {}, checks, {"mel_error_db": error_db, "signal": source})


def cases() -> Iterator[Case]:
    """Each case when its turn comes."""
    yield from map(fast_griffin_lim, (1, 8))
    yield from map(magnitude_inverse, (1, 2))
    yield end_to_end()
    yield mel_consistent()
    yield starts()


def main() -> int:
    """Measure, write `results/cpu.json` and the table in the README, and say which targets are missed."""
    torch.set_num_threads(common.THREADS)
    record: Record = {"suite": "cpu", **common.surroundings(), "repeats": common.REPEATS, "cases": []}
    missed = []
    with torch.inference_mode():
        for case in tqdm(cases(), total=7, unit="case"):
            seconds, rounds = common.alternate(case.contestants)
            faster = {name: round(common.ratio(seconds, name, case.ours), 3) for name in case.contestants if name != case.ours}
            for peer, wanted in case.at_least.items():
                if faster[peer] < wanted:
                    missed.append(f"{case.title}: {faster[peer]:.2f} times {peer}'s speed, not {wanted:g}")
            entry: Record = {"title": case.title, "ours": case.ours, "seconds": seconds, "rounds": rounds, "times_faster": faster}
            record["cases"].append({**entry, "at_least": case.at_least, "checks": case.checks, **case.notes})
            tqdm.write(f"{case.title}: " + ", ".join(f"{x:.2f} × {peer}" for peer, x in faster.items()))
    common.save("cpu", record)
    tables.write_pages()
    print("\n".join(missed or ["every target is reached"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
