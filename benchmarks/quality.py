"""`python -m benchmarks.quality`: how close to the recording, beside librosa and torchaudio, clip by clip.

Every method gets the same mel of the same clip and the same number of iterations. PESQ-WB (ITU-T P.862.2) and ESTOI are taken
at 16 kHz; mel error, log-mel distance and spectral convergence against the recording's own mel and magnitude.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from pesq import pesq
from pystoi import stoi
from torch import Tensor
from tqdm import tqdm

import torchmelinv as tmi
from benchmarks import common, peers, tables
from benchmarks.common import Record, check
from torchmelinv import functional
from torchmelinv.files import resample
from torchmelinv.invert import MAGNITUDES

SECONDS = 5.0
N_ITER = 32
DEFAULT = "torchmelinv"
ORACLE = "true magnitude"
METRIC_RATE = 16000
# convention: what the default must reach on the average over librosa
TARGETS = {"hifigan_22k": {"pesq_wb": 0.4, "mel_error_db": 3.0}, "librosa_melspectrogram": {"pesq_wb": 0.1, "mel_error_db": 1.0}}
WORST_PESQ = -0.1  # no clip may be further behind librosa

Method = Callable[[Tensor, Tensor], Tensor]  # (mel as the model made it, the recording) -> waveform


def _ours(inverter: tmi.MelInverter) -> Method:
    return lambda mel, _: inverter(mel)


def methods(analyzer: tmi.MelAnalyzer) -> tuple[dict[str, Method], dict[str, str]]:
    """Every row of the table by its name, and why a peer is absent where it is."""
    convention, level = analyzer.convention, analyzer.convention.level
    rows: dict[str, Method] = {}
    absent: dict[str, str] = {}
    rows[DEFAULT] = _ours(tmi.MelInverter(convention, n_iter=N_ITER))
    rows["librosa"] = lambda mel, _: peers.librosa_waveform(functional.expand(mel, level), convention, N_ITER)
    try:
        by_torchaudio = peers.TorchaudioInverter(convention, N_ITER)
        rows["torchaudio"] = lambda mel, _: by_torchaudio(functional.expand(mel, level))
    except (RuntimeError, ValueError) as error:
        absent["torchaudio"] = str(error)
    for name in reversed([name for name in MAGNITUDES if name != "entropic"]):
        rows[name] = _ours(tmi.MelInverter(convention, name, n_iter=N_ITER))
    rows[ORACLE] = lambda _, clip: functional.fast_griffin_lim(analyzer.frame.analyse(clip).abs(), analyzer.frame, N_ITER)
    return rows, absent


def recording(path: Path, convention: tmi.MelConvention) -> Tensor:
    """The clip, cut to the samples that its frames stand for: then no method has anything to fill in."""
    clip = common.read_mono(path, convention.sample_rate, SECONDS)
    return clip[: convention.n_samples(convention.n_frames(len(clip)))]


def distances(waveform: Tensor, clip: Tensor, analyzer: tmi.MelAnalyzer) -> Record:
    """Mel error (dB), log-mel L1 (nepers of magnitude) and spectral convergence (dB)."""
    mel, reference = analyzer.linear(waveform), analyzer.linear(clip)
    power = analyzer.convention.power
    magnitude, wanted = (analyzer.frame.analyse(signal).abs() for signal in (waveform, clip))
    return {
        "mel_error_db": float(functional.mel_error_db(mel, reference)),
        "log_mel_l1": float(functional.log_mel_l1(mel.pow(1 / power), reference.pow(1 / power))),
        "spectral_convergence_db": float(functional.spectral_convergence_db(magnitude, wanted)),
    }


def perceptual(waveform: Tensor, clip: Tensor, sample_rate: float) -> Record:
    """PESQ wide-band (mean opinion score) and ESTOI (0 to 1)."""
    found, wanted = (resample(signal[None], sample_rate, METRIC_RATE)[0].numpy() for signal in (waveform, clip))
    estoi = stoi(wanted, found, METRIC_RATE, extended=True)
    return {"pesq_wb": float(pesq(METRIC_RATE, wanted, found, "wb")), "estoi": float(estoi)}


def run(path: Path, rows: dict[str, Method], analyzer: tmi.MelAnalyzer, *, is_speech: bool) -> Record:
    """One clip through every method: its distances and the seconds that it took."""
    convention = analyzer.convention
    clip = recording(path, convention)
    mel = analyzer(clip)
    scores: Record = {}
    for name, method in rows.items():
        waveform, seconds = common.timed(functools.partial(method, mel, clip))
        if waveform.shape != clip.shape:
            raise common.CheckFailed(f"{name} gave {len(waveform)} samples for {len(clip)} of {path.name}")
        found = perceptual(waveform, clip, convention.sample_rate) if is_speech else {}
        found = {**found, **distances(waveform, clip, analyzer), "seconds": seconds}
        scores[name] = {metric: round(value, 4) for metric, value in found.items()}
    return {"clip": path.stem, "scores": scores}


def checks(path: Path, rows: dict[str, Method], analyzer: tmi.MelAnalyzer) -> list[Record]:
    """Before anything is compared: the peers invert the same filterbank, and their waveforms lie where the recording does."""
    convention = analyzer.convention
    done = [peers.filterbank_check(analyzer.filterbank, peers.librosa_filterbank(convention))]
    clip = recording(path, convention)
    reference, shift = analyzer.linear(clip), convention.hop_length // 4
    for name in rows:
        waveform = rows[name](analyzer(clip), clip)
        shifted = [analyzer.linear(waveform.roll(offset)) for offset in (0, -shift, shift)]
        there, *moved = (float(functional.mel_error_db(mel, reference)) for mel in shifted)
        what = f"mel error of {name} where it lies, above that a quarter hop away, dB"
        done.append(check(what, there - min(moved), at_most=0))
    return done


def verdict(clips: list[Record], targets: dict[str, float]) -> Record:
    """What the default gains over librosa, on the average and on the worst clip, beside what it must."""
    ours, theirs = common.means(clips, DEFAULT), common.means(clips, "librosa")
    gain = {"pesq_wb": ours["pesq_wb"] - theirs["pesq_wb"], "mel_error_db": theirs["mel_error_db"] - ours["mel_error_db"]}
    each = {clip["clip"]: clip["scores"][DEFAULT]["pesq_wb"] - clip["scores"]["librosa"]["pesq_wb"] for clip in clips}
    worst = min(each, key=each.__getitem__)
    return {
        "gain": {metric: round(value, 4) for metric, value in gain.items()},
        "at_least": targets,
        "worst_clip": worst,
        "worst_pesq_gain": round(each[worst], 4),
        "worst_at_least": WORST_PESQ,
        "reached": all(gain[metric] >= targets[metric] for metric in targets) and each[worst] >= WORST_PESQ,
    }


def main() -> int:
    """Measure, write `results/quality.json` and the tables in the README; 2 without recordings."""
    torch.set_num_threads(common.THREADS)
    speech, music = common.clips(["speech"]), common.clips(["music", "percussion"])
    if not speech:
        print(f"no speech_* files in {common.AUDIO}: TORCHMELINV_SHARED names the folder that audio/ is in", file=sys.stderr)
        return 2
    numbers = {"n_iter": N_ITER, "clip_seconds": SECONDS}
    record: Record = {"suite": "quality", **common.surroundings(), **numbers, "conventions": {}}
    with torch.inference_mode(), tqdm(total=len(TARGETS) * (len(speech) + len(music)), unit="clip") as progress:
        for name, targets in TARGETS.items():
            analyzer = tmi.MelAnalyzer(name)
            rows, absent = methods(analyzer)
            entry: Record = {"checks": checks(speech[0], rows, analyzer), "absent": absent, "speech": [], "music": []}
            for path in [*speech, *music]:
                is_speech = path in speech
                entry["speech" if is_speech else "music"].append(run(path, rows, analyzer, is_speech=is_speech))
                progress.update()
            entry["verdict"] = verdict(entry["speech"], targets)
            record["conventions"][name] = entry
            progress.write(f"{name}: {'reached' if entry['verdict']['reached'] else 'MISSED'} {entry['verdict']}")
    common.save("quality", record)
    tables.write_readme()
    return 0


if __name__ == "__main__":
    sys.exit(main())
