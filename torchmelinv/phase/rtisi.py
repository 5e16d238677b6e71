"""Real-time iterative spectrogram inversion with look-ahead (RTISI-LA): one pass over the frames.

Zhu, Beauregard and Wyse (2007). When frame t arrives, the committed frames and the `look_ahead`
waiting ones add up to the signal so far, which gives the new frame its phase. Griffin-Lim then
iterates on the waiting frames and the new one, `n_iter` times in all, while committed frames stay
as they are. Then the oldest waiting frame is committed. With C the committed frames, B those of the
buffer, w the window and y the frames in time,

    x = Σ_(C ∪ B) w y / max(Σ_(C ∪ B) w², floor),    c_s = A_s · STFT(x)_s / |STFT(x)_s|,    s ∈ B.

The window sum counts only the frames that have arrived: x is the least-squares signal of what is
known, for any window and hop. The paper's compensated windows of the newest frames serve the same
purpose. (Dividing by the window sum of all frames, later ones included, cost 2 to 4 dB of spectral
convergence on speech.) From one iteration to the next x is extrapolated as in fast Griffin-Lim.
look_ahead = 0 and n_iter = 1 set each phase from the frames before it: "no future" of Le Roux et
al. (2010).

With `MelConsistent(RTISILA())` the mel takes the place of A: on speech 6 dB closer to it, at twice
the cost.

Neither the initial phase nor the seed matters. (PGHI's phases ended 1 to 3 dB better on speech, but
PGHI reads all frames and leaves no low latency.) A bin that no signal reaches, as in the first
frame or after silence, begins with angle 0 at the window's center.

With a mel target one thing is not the paper's. The frames before determine a new frame only as far
as they overlap it, and what follows must come from the gains of P_A. Gains that are smooth along
frequency cannot prolong a noise: its energy would rise and fall with every frame, a buzz. So the
part of a new frame that the mel gives no fine structure (`fine_structure.py`) fades from the signal
so far into noise, a fixed one for each frame and bin. (New frames that began with random phases in
all bins ended 10 dB worse on speech.)

What is committed at frame t depends on no frame after t + look_ahead. Each frame costs
n_iter · (look_ahead + 1) real FFTs and as many inverse ones, in sequence; only items and the frames
of one buffer are processed in parallel.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from torchmelinv._utils.validation import check_number, check_whole
from torchmelinv.conventions import STFTConvention
from torchmelinv.errors import InputError
from torchmelinv.phase.method import PhaseMethod
from torchmelinv.phase.noise_frame import noise_frame
from torchmelinv.phase.pghi import TOLERANCE
from torchmelinv.phase.problem import PhaseProblem
from torchmelinv.phase.rtisi_tables import RTISITables, rtisi_tables
from torchmelinv.phase.target import Target
from torchmelinv.solvers.iterate import iterate
from torchmelinv.transforms.overlap_add import frame_signal, overlap_add

# Exponent of the known part where the signal of the frames before fades into noise; chosen with
# `NEWEST_FULL_STRUCTURE` in `fine_structure.py`.
_FADE = 0.7


class RTISIBuffer(NamedTuple):
    """What one frame hands to the next; sample 0 is the first of the oldest waiting frame."""

    committed: Tensor  # the last committed frame, complex (items, n_freqs)
    finished: Tensor  # the samples finished with it, up to the next frame's first, (items, hop)
    past: Tensor  # Σ w y of the committed frames, (items, hop · look_ahead + n_fft)
    past_weight: Tensor  # Σ w² of the committed frames
    waiting: (
        Tensor  # frames that may still change, oldest first, complex (items, look_ahead, n_freqs)
    )
    target: Tensor  # the target values of these frames, (items, look_ahead, rows)
    present: Tensor  # 1 for frames of the item, 0 before and after, (items, look_ahead, 1)


class _Estimate(NamedTuple):
    spectra: Tensor  # c_s, complex (items, look_ahead + 1, n_freqs)
    signal: Tensor  # the x that gave them


class RTISIState(NamedTuple):
    signal: Tensor  # (items, samples)


@dataclasses.dataclass(frozen=True)
class RTISILA(PhaseMethod):
    """RTISI-LA: one pass over the frames, with a bounded latency.

    It finds its own phases: the initial phase and the seed have no effect. The number of iterations
    of an inverter is the number of iterations per frame. A tolerance has no effect: the whole pass
    is one step.

    Args:
        look_ahead: Number of later frames that each frame waits for; 0 has the lowest latency.
            None: all frames that overlap it.
        momentum: Extrapolation between iterations, at least 0.
        n_iter: Iterations per frame in a stream; elsewhere the inverter's `n_iter` replaces it.

    Raises:
        InputError: If a number is out of its range.

    References:
        X. Zhu, G. T. Beauregard and L. Wyse, "Real-time signal estimation from modified short-time
        Fourier transform magnitude spectra", IEEE Trans. ASLP 15(5), 2007.

    Example:
        >>> import torchmelinv as tmi
        >>> phase = tmi.phases.MelConsistent(tmi.phases.RTISILA(look_ahead=1))
        >>> stream = tmi.StreamingInverter("hifigan_22k", phase=phase)
    """

    look_ahead: int | None = None
    momentum: float = 0.99
    n_iter: int = 10

    def __post_init__(self) -> None:
        if self.look_ahead is not None:
            check_whole("look_ahead", self.look_ahead, 0)
        check_number("momentum", self.momentum, 0, hint="0.99 is usual")
        check_whole("n_iter", self.n_iter, 1)

    @property
    def iterations_per_step(self) -> int:
        return self.n_iter

    @property
    def uses_initial_phase(self) -> bool:
        return False

    def latency(self, convention: STFTConvention) -> int:
        """Return the number of later frames that must be known before a frame is committed.

        Args:
            convention: The STFT.

        Returns:
            Frames.
        """
        overlapping = -(-convention.win_length // convention.hop_length) - 1
        return overlapping if self.look_ahead is None else self.look_ahead

    def empty(self, convention: STFTConvention, target: Tensor) -> RTISIBuffer:
        """Return the buffer before the first frame.

        Args:
            convention: The STFT.
            target: Target values (items, frames, rows); only sizes, dtype and device count.

        Returns:
            The buffer.

        Raises:
            InputError: If frames do not overlap or touch.
        """
        ahead, hop_length, n_fft = self.latency(convention), convention.hop_length, convention.n_fft
        if hop_length > n_fft:
            raise InputError(
                f"hop_length is {hop_length}; RTISI-LA needs one of at most n_fft = {n_fft}"
            )
        items, _, rows = target.shape
        past = target.new_zeros(items, ahead * hop_length + n_fft)
        zeros = target.new_zeros(items, ahead, convention.n_freqs)
        waiting = torch.complex(zeros, zeros)
        return RTISIBuffer(
            committed=waiting.new_zeros(items, convention.n_freqs),
            finished=past[:, :hop_length],
            past=past,
            past_weight=past,
            waiting=waiting,
            target=target.new_zeros(items, ahead, rows),
            present=target.new_zeros(items, ahead, 1),
        )

    def advance(
        self,
        tables: RTISITables,
        make_target: Callable[[Tensor], Target],
        buffer: RTISIBuffer,
        values: Tensor,
        present: Tensor,
        frame: int,
        n_channels: int = 1,
    ) -> RTISIBuffer:
        """Take in one frame, and commit the frame `look_ahead` before it.

        Args:
            tables: The tables of the convention.
            make_target: Returns a target for values (items, frames, rows) of some frames.
            buffer: The buffer before this frame.
            values: Target values of the new frame, (items, rows); 0 after an item's last frame.
            present: 1 for a frame of the item, 0 after its last frame, (items, 1).
            frame: Index of the new frame, from 0.
            n_channels: Channels of each recording; items are (recordings · channels). New frames
                of all channels of a recording take the phase of their sum.

        Returns:
            The next buffer.
        """
        convention, window, peak, floor, finished_floor, unreached = tables
        hop_length, n_fft = convention.hop_length, convention.n_fft
        in_buffer = torch.cat([buffer.target, values[:, None]], 1)
        target = make_target(in_buffer)
        all_present = torch.cat([buffer.present, present[:, None]], 1)
        least_weight = finished_floor if target.lacks_fine_structure else floor
        zeros = torch.zeros_like(buffer.committed)

        def window_sum(frames: Tensor) -> Tensor:
            arrived = overlap_add(frames * window, window, hop_length)
            return torch.maximum(buffer.past_weight + arrived, least_weight)

        def signal_of(spectra: Tensor, weight: Tensor) -> Tensor:
            frames = torch.fft.irfft(spectra, n=n_fft)
            return (buffer.past + overlap_add(frames, window, hop_length)) / weight

        def stft(samples: Tensor) -> Tensor:
            spectra: Tensor = torch.fft.rfft(frame_signal(samples, window, hop_length))
            return spectra

        # The new frame has no phase yet: it neither adds to the signal nor counts in the window sum
        # that give it one.
        before = torch.cat([buffer.waiting, zeros[:, None]], 1)
        known = torch.cat([buffer.present, torch.zeros_like(present)[:, None]], 1)
        weight, envelope = window_sum(known), target.envelope()
        signal, least = signal_of(before, weight), torch.zeros_like(weight[:, :1, None])
        if target.lacks_fine_structure:
            # Where few frames have arrived, noise fades out, and new noise takes its place.
            noise, noise_part = noise_frame(envelope.detach(), frame, window, convention)
            known_part = (weight / peak).clamp(max=1)
            missing = (weight.shape[-1] - n_fft, 0)
            signal = signal * (1 - noise_part * (1 - known_part**_FADE))
            signal = signal + pad(noise, missing) * (1 - known_part).sqrt()
            # The rounding of the noise is not a signal.
            least = TOLERANCE * envelope.detach().amax(-1, keepdim=True)
        guess = stft(signal)
        if n_channels > 1:
            newest = guess[:, -1].unflatten(0, (-1, n_channels)).sum(1)
            guess = torch.cat([guess[:, :-1], newest.repeat_interleave(n_channels, 0)[:, None]], 1)
        spectra = target.impose(torch.where(guess.abs() > least, guess, envelope * unreached))
        if self.n_iter > 1:
            weight = window_sum(all_present)

            def step(estimate: _Estimate) -> _Estimate:
                new = signal_of(estimate.spectra, weight)
                y = torch.lerp(estimate.signal, new, 1 + self.momentum)
                return _Estimate(target.impose(stft(y)), new)

            first = _Estimate(spectra, signal_of(spectra, weight))
            estimate: _Estimate = iterate(step, first, self.n_iter - 1).state
            spectra = estimate.spectra

        missing = (0, buffer.past.shape[-1] - n_fft)
        past = buffer.past + pad(torch.fft.irfft(spectra[:, 0], n=n_fft) * window, missing)
        weight = buffer.past_weight + pad(all_present[:, 0] * window.square(), missing)
        finished = past[:, :hop_length] / torch.maximum(weight[:, :hop_length], finished_floor)
        past, weight = (pad(each[:, hop_length:], (0, hop_length)) for each in (past, weight))
        return RTISIBuffer(
            committed=spectra[:, 0],
            finished=finished,
            past=past,
            past_weight=weight,
            waiting=spectra[:, 1:],
            target=in_buffer[:, 1:],
            present=all_present[:, 1:],
        )

    def init(self, problem: PhaseProblem, spectrum: Tensor) -> RTISIState:
        return RTISIState(problem.plan.inverse(spectrum))

    def step(self, problem: PhaseProblem, state: RTISIState) -> RTISIState:
        convention, ahead = problem.plan.convention, self.latency(problem.plan.convention)
        values, present = problem.target.values, problem.plan.frame_mask
        if present is None:
            present = values.new_ones(*values.shape[:2], 1)
        tables = rtisi_tables(convention, values.dtype, values.device)
        buffer = self.empty(convention, values)
        # After the last frame, as many empty ones push the waiting frames out.
        rows, flags = (pad(each, (0, 0, 0, ahead)) for each in (values, present.to(values.dtype)))
        make_target = problem.target.with_values
        committed = []
        for frame, (row, flag) in enumerate(zip(rows.unbind(1), flags.unbind(1), strict=True)):
            buffer = self.advance(tables, make_target, buffer, row, flag, frame, problem.n_channels)
            committed.append(buffer.committed)
        return RTISIState(problem.plan.inverse(torch.stack(committed[ahead:], 1)))

    def stages(self, n_iter: int) -> list[tuple[PhaseMethod, int]]:
        return [(dataclasses.replace(self, n_iter=n_iter), 1)] if n_iter else [(self, 0)]
