"""`python -m tests.training.denoiser`: a small network that cleans log-mels, taught by mels alone or also by waveforms.

Both kinds begin from the same weights, see the same examples and take as many steps. `mel`: the L1 distance of log-mels in all of
them. `waveform`: the first half the same, in the second half a multi-resolution STFT loss between the waveform that the
inversion gives for the predicted mel and the clean recording; it sees what becomes of a mel, between the bands too.

What to expect: the waveform is nearer to the recording down to where the loss has its floor (log-spectral distance within 40 dB
of the peak), and the mel itself, which nothing holds any longer, is farther from the true one and less consistent. Most of
what is gained is a lower level, chiefly where it is quiet: two hisses differ more than one hiss and less of it. So a third is
compared, `mel_lowered`: the first with the constant taken off its log-mels that serves it best.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

import torchmelinv as tmi
from torchmelinv.conventions import FrameConvention, Level, MelConvention

CONVENTION = MelConvention(sample_rate=8000, n_fft=128, hop_length=32, n_mels=16, level=Level(log="ln", floor=1e-5))
RESOLUTIONS = ((64, 16, 64), (128, 32, 128), (256, 64, 256))
FLOOR = 0.05  # of STFT magnitudes in the loss, 45 to 50 dB below the peaks of these signals: hiss below it does not count
HELD_FRAME = FrameConvention(n_fft=192, hop_length=48)  # of the distances reported: none that the loss has seen


class MelDenoiser(nn.Module):
    """Noisy log-mel (items, n_mels, n_frames) -> clean log-mel of that shape: three convolutions and a bypass."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, width, 3, padding=1)
        self.middle = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, 1, 3, padding=1)

    def forward(self, mel: Tensor) -> Tensor:
        hidden = relu(self.first(mel[:, None]))
        return mel + self.last(relu(self.middle(hidden)))[:, 0]


class WaveformLoss(nn.Module):
    """Predicted log-mels, and the clean waveforms (items, n_samples) that their inversions should be, by spectrum.

    Few iterations serve: the fine spectrum moves little after them. `phase_detached` costs half of the exact gradient, and what
    was learned with either scored the same. `transpose` is the cheapest first magnitude; the iteration keeps the mel, not that.
    """

    def __init__(self, gradient: str | int = "phase_detached") -> None:
        super().__init__()
        self.inverter = tmi.MelInverter(CONVENTION, magnitude="transpose", n_iter=4, gradient=gradient)
        self.loss = tmi.losses.MultiResolutionSTFTLoss(RESOLUTIONS, floor=FLOOR)

    def forward(self, mel: Tensor, clean: Tensor) -> Tensor:
        return self.loss(self.inverter(mel, length=clean.shape[-1]), clean)


def with_noise(clean: Tensor, level: float = 0.2) -> Tensor:
    """Waveforms with white noise of this deviation, always the same."""
    return clean + level * torch.randn(clean.shape, generator=torch.Generator().manual_seed(2), dtype=clean.dtype)


def train(kind: str, clean: Tensor, noisy: Tensor, seed: int, steps: int, batch: int = 8) -> MelDenoiser:
    """A denoiser taught on waveforms (items, n_samples); `kind` is `mel` or `waveform`. Leaves the global generator alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = MelDenoiser()
    generator = torch.Generator().manual_seed(seed)
    analyzer, mel_loss, waveform_loss = tmi.MelAnalyzer(CONVENTION), tmi.losses.MelLoss(CONVENTION), WaveformLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for step in range(steps):
        items = torch.randint(len(clean), (batch,), generator=generator)
        predicted = model(analyzer(noisy[items]))
        by_mel = kind == "mel" or step < steps // 2
        loss = (mel_loss if by_mel else waveform_loss)(predicted, clean[items])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model


def log_spectral_distance(estimate: Tensor, reference: Tensor, range_db: float) -> Tensor:
    """In dB, of waveforms (items, n_samples) -> (items); nothing counts as more than `range_db` below the reference's peak."""
    magnitudes = [tmi.Frame(HELD_FRAME).analyse(waveform).abs() for waveform in (estimate, reference)]
    return tmi.functional.log_spectral_distance_db(*magnitudes, range_db=range_db)


@torch.no_grad()
def scores(model: Callable[[Tensor], Tensor], clean: Tensor, noisy: Tensor) -> dict[str, float]:
    """How a denoiser does on waveforms that it has not seen; means over items, lower is better in each."""
    analyzer, inverter = tmi.MelAnalyzer(CONVENTION), tmi.MelInverter(CONVENTION)
    predicted = model(analyzer(noisy))
    solution = inverter.solve(predicted, length=clean.shape[-1])
    return {
        "lsd_40_db": float(log_spectral_distance(solution.waveform, clean, 40).mean()),
        "lsd_60_db": float(log_spectral_distance(solution.waveform, clean, 60).mean()),
        "log_mel_l1": float((predicted - analyzer(clean)).abs().mean()),
        # how far the predicted mel is from that of the signal that has it best: 20 log10(‖Ms − m‖ / ‖m‖)
        "consistency_db": float(20 * solution.residual.log10().mean()),
    }


def compare(signals: Tensor, held: int, seed: int, steps: int) -> dict[str, dict[str, float]]:
    """Scores on the last `held` signals (items, n_samples), which no denoiser has seen; `mel_lowered` is chosen on these."""
    noisy = with_noise(signals)
    by_mel, by_waveform = (train(kind, signals[:-held], noisy[:-held], seed, steps) for kind in ("mel", "waveform"))
    clean, noisy = signals[-held:], noisy[-held:]
    lowered = [scores(lambda mel, less=less: by_mel(mel) - less, clean, noisy) for less in (0.2, 0.3, 0.4)]
    return {
        "mel": scores(by_mel, clean, noisy),
        "mel_lowered": min(lowered, key=lambda found: found["lsd_40_db"]),
        "waveform": scores(by_waveform, clean, noisy),
    }


if __name__ == "__main__":
    from tests.problems import tones

    for kind, found in compare(tones(1600, (96,)), held=32, seed=0, steps=120).items():
        print(f"{kind:11}", "  ".join(f"{name} {value:.3f}" for name, value in found.items()))
