"""`python -m benchmarks.lws`: local weighted sums against the package of the paper's authors.

Spectral convergence for the true magnitude: 1024-sample Hann frames with silence around the signal,
the first two seconds of eight clips. The package is `lws` 1.2.8. Its sources on the package index
were made for older versions of Python; rebuild the Cython module to install it on a newer one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad
from tqdm import tqdm

from benchmarks import measurement, records, tables
from benchmarks.lws_table import HOP_LENGTHS, ITERATIONS, N_FFT, SECONDS, mean
from benchmarks.recordings import AUDIO
from benchmarks.records import Record, check
from torchmelinv.conventions import STFTConvention
from torchmelinv.functional import magnitude_to_waveform
from torchmelinv.io.audio import read_audio
from torchmelinv.metrics import spectral_convergence_db
from torchmelinv.phases import LWS, RTISILA, GriffinLim, PhaseMethod
from torchmelinv.transforms.stft import STFT

CLIPS = (
    "speech_lj_LJ001-0002.wav",
    "speech_vctk_p228_023_48k.wav",
    "speech_libri_4340-15220-0000.flac",
    "music_sms_piano.wav",
    "music_sonicpi_guit_em9.flac",
    "music_sms_cello-phrase.wav",
    "music_vocadito_14_singing.wav",
    "percussion_sonicpi_loop_mika.flac",
)
LWS_FROM_PGHI, MUSIC = "LWS from PGHI, the default", 'the package, "music"'
OURS: dict[str, PhaseMethod] = {
    LWS_FROM_PGHI: LWS(),
    "LWS, rtisi_iter=10": LWS(rtisi_iter=10),
    "RTISI-LA": RTISILA(),
    "fast Griffin-Lim from PGHI": GriffinLim(0.99),
}
PACKAGE: dict[str, dict[str, Any]] = {
    MUSIC: {"mode": "music"},
    "the package, default": {"mode": None},
}


def convention(hop_length: int) -> STFTConvention:
    """Return frames without padding, with the Hann window of the package."""
    n = np.arange(N_FFT) + 0.5
    window = tuple(0.5 - 0.5 * np.cos(2 * np.pi * n / N_FFT))
    return STFTConvention(n_fft=N_FFT, hop_length=hop_length, window=window, padding="none")


def read_clip(name: str, hop_length: int) -> Tensor:
    """Return a clip at its own rate, with a frame of silence around it."""
    waveform, sample_rate = read_audio(AUDIO / name)
    waveform = waveform.mean(0)[: int(SECONDS * sample_rate)]
    silence = N_FFT - hop_length
    return pad(waveform, (silence, silence + -len(waveform) % hop_length))


def _ours(method: PhaseMethod, magnitude: Tensor, stft: STFT, n_iter: int) -> Tensor:
    length = stft.default_length(magnitude.shape[-1])
    return magnitude_to_waveform(magnitude, stft.convention, method, n_iter, length=length)


def _package(options: Record, magnitude: Tensor, stft: STFT, n_iter: int) -> Tensor:
    import lws

    settings = stft.convention
    overlapping = settings.n_fft // settings.hop_length - 1
    processor = lws.lws(
        np.array(settings.window),
        settings.hop_length,
        batch_iterations=n_iter,
        perfectrec=False,
        **({**options, "look_ahead": overlapping} if options["mode"] else options),
    )
    spectrum: NDArray[np.complex128] = processor.run_lws(magnitude.T.numpy().astype(complex))
    length = stft.default_length(magnitude.shape[-1])
    return stft.inverse(torch.from_numpy(spectrum.T.copy()), length).to(magnitude.dtype)


def measure() -> Record:
    """Return the spectral convergence of each clip in dB, by hop, method and iterations."""
    methods: dict[str, Callable[[Tensor, STFT, int], Tensor]] = {
        **{name: lambda *a, m=method: _ours(m, *a) for name, method in OURS.items()},
        **{name: lambda *a, o=options: _package(o, *a) for name, options in PACKAGE.items()},
    }
    results: Record = {}
    for hop_length in HOP_LENGTHS:
        stft, rows = STFT(convention(hop_length)), results.setdefault(str(hop_length), {})
        for clip in tqdm(CLIPS, desc=f"hop {hop_length}", unit="clip"):
            magnitude = stft(read_clip(clip, hop_length)).abs()
            for name, method in methods.items():
                for n_iter in (10,) if name == "RTISI-LA" else ITERATIONS:
                    result = stft(method(magnitude, stft, n_iter)).abs()
                    error = round(float(spectral_convergence_db(result, magnitude)), 2)
                    rows.setdefault(name, {}).setdefault(str(n_iter), []).append(error)
    return results


def main() -> int:
    """Measure, and write `results/lws.json` and the table."""
    torch.set_num_threads(measurement.THREADS)
    record: Record = {"suite": "lws", **records.environment(), "package": "1.2.8"}
    record["clips"], record["results"] = list(CLIPS), measure()
    ours, theirs = (mean(record, 256, name, 32) for name in (LWS_FROM_PGHI, MUSIC))
    what = "LWS from PGHI minus the package's music mode, 32 iterations at hop 256, dB"
    record["checks"] = [check(what, ours - theirs, at_most=0.0)]
    records.save("lws", record)
    tables.write_pages()
    return 0


if __name__ == "__main__":
    sys.exit(main())
