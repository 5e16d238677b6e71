"""`python -m tests.training.denoiser`: train a small denoiser on mels alone, or also on waveforms.

Both kinds start from the same weights, see the same examples and take as many steps. `mel`: the L1
distance of log-mels in all steps. `waveform`: the same in the first half; in the second half a
multi-resolution STFT loss between the inverted prediction and the clean recording. This loss also
sees what the inversion makes of a mel, between the bands too.

What to expect: the waveform is nearer to the recording down to the loss's floor (log-spectral
distance within 40 dB of the peak). The mel itself, which no loss holds any longer, is farther from
the true mel and less consistent. Most of the gain is a lower level, mainly in quiet parts: two
different noises are farther apart than one noise and less of it. So a third kind is compared,
`mel_lowered`: the predictions of `mel` minus the best constant.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

import torchmelinv as tmi
from torchmelinv.conventions import Compression, MelConvention, STFTConvention

CONVENTION = MelConvention(
    sample_rate=8000, n_fft=128, hop_length=32, n_mels=16, level=Compression(log="ln", floor=1e-5)
)
RESOLUTIONS = ((64, 16, 64), (128, 32, 128), (256, 64, 256))
# Of STFT magnitudes in the loss, 45 to 50 dB below the peaks of these signals: noise below it does
# not count.
FLOOR = 0.05
# Of the reported distances; no loss uses this STFT.
EVALUATION_STFT = STFTConvention(n_fft=192, hop_length=48)


class MelDenoiser(nn.Module):
    """Three convolutions and a residual connection on log-mels (items, n_mels, n_frames)."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, width, 3, padding=1)
        self.middle = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, mel: Tensor) -> Tensor:
        hidden = relu(self.first(mel[:, None]))
        return mel + self.last(relu(self.middle(hidden)))[:, 0]


class WaveformLoss(nn.Module):
    """Spectral loss between inverted log-mels and clean waveforms (items, n_samples).

    Four iterations are enough: later ones change the fine spectrum little. `phase_detached` costs
    half of the exact gradient, and models trained with either scored the same. `transpose` is the
    cheapest first magnitude; the iteration keeps the mel, not that magnitude.
    """

    def __init__(self, gradient: str | int = "phase_detached") -> None:
        super().__init__()
        self.inverter = tmi.MelInverter(
            CONVENTION, magnitude="transpose", n_iter=4, gradient=gradient
        )
        self.loss = tmi.losses.MultiResolutionSTFTLoss(RESOLUTIONS, floor=FLOOR)

    def forward(self, mel: Tensor, clean: Tensor) -> Tensor:
        return self.loss(self.inverter(mel, length=clean.shape[-1]), clean)


def with_noise(clean: Tensor, deviation: float = 0.2) -> Tensor:
    """Return waveforms with white noise of this standard deviation, always the same noise."""
    generator = torch.Generator().manual_seed(2)
    return clean + deviation * torch.randn(clean.shape, generator=generator, dtype=clean.dtype)


def train(
    kind: str, clean: Tensor, noisy: Tensor, seed: int, steps: int, batch: int = 8
) -> MelDenoiser:
    """Train a denoiser on waveforms (items, n_samples); `kind` is "mel" or "waveform".

    The global random generator is left unchanged.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = MelDenoiser()
    generator = torch.Generator().manual_seed(seed)
    mel_spectrogram = tmi.MelSpectrogram(CONVENTION)
    mel_loss, waveform_loss = tmi.losses.MelLoss(CONVENTION), WaveformLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        items = torch.randint(len(clean), (batch,), generator=generator)
        predicted = model(mel_spectrogram(noisy[items]))
        use_mel_loss = kind == "mel" or step < steps // 2
        loss = (mel_loss if use_mel_loss else waveform_loss)(predicted, clean[items])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model


def log_spectral_distance(estimate: Tensor, reference: Tensor, range_db: float) -> Tensor:
    """Return the distance of waveforms in dB, (items, n_samples) -> (items,)."""
    stft = tmi.STFT(EVALUATION_STFT)
    magnitudes = [stft(waveform).abs() for waveform in (estimate, reference)]
    return tmi.metrics.log_spectral_distance_db(*magnitudes, range_db=range_db)


@torch.no_grad()
def scores(model: Callable[[Tensor], Tensor], clean: Tensor, noisy: Tensor) -> dict[str, float]:
    """Return a denoiser's mean scores on waveforms; lower is better in each."""
    mel_spectrogram, inverter = tmi.MelSpectrogram(CONVENTION), tmi.MelInverter(CONVENTION)
    predicted = model(mel_spectrogram(noisy))
    solution = inverter.solve(predicted, length=clean.shape[-1])
    return {
        "lsd_40_db": float(log_spectral_distance(solution.waveform, clean, 40).mean()),
        "lsd_60_db": float(log_spectral_distance(solution.waveform, clean, 60).mean()),
        "log_mel_l1": float((predicted - mel_spectrogram(clean)).abs().mean()),
        # distance of the predicted mel to the mel of its inversion: 20 log10(‖Ms − m‖ / ‖m‖)
        "consistency_db": float(20 * solution.residual.log10().mean()),
    }


def compare(signals: Tensor, held_out: int, seed: int, steps: int) -> dict[str, dict[str, float]]:
    """Return scores on the last `held_out` signals (items, n_samples), which no denoiser has seen.

    The constant of `mel_lowered` is chosen on these signals.
    """
    noisy = with_noise(signals)
    mel_model, waveform_model = (
        train(kind, signals[:-held_out], noisy[:-held_out], seed, steps)
        for kind in ("mel", "waveform")
    )
    clean, noisy = signals[-held_out:], noisy[-held_out:]
    lowered = [
        scores(lambda mel, constant=constant: mel_model(mel) - constant, clean, noisy)
        for constant in (0.2, 0.3, 0.4)
    ]
    return {
        "mel": scores(mel_model, clean, noisy),
        "mel_lowered": min(lowered, key=lambda values: values["lsd_40_db"]),
        "waveform": scores(waveform_model, clean, noisy),
    }


if __name__ == "__main__":
    from tests.problems import tones

    for kind, values in compare(tones(1600, (96,)), held_out=32, seed=0, steps=120).items():
        print(f"{kind:11}", "  ".join(f"{name} {value:.3f}" for name, value in values.items()))
