"""Frames in, samples out: inversion while the mel is still being made, and of mels longer than memory.

The method is RTISI-LA held to the mel (`MelConsistent(RtisiLa())`): a frame is settled once those that overlap it are known, and
never looked at again. A stream carries the buffer of these frames and nothing that grows, and each frame goes through the same
operations on the same shapes, so that the samples are bit for bit the same whatever the sizes of the pushes: there are no seams,
and the offline form is a single push. `MelInverter` with the same `phase` computes the same from all frames at once, but rounds
differently, which the recursion amplifies: in float64 short signals agree to 1e-9; in float32 the two drift apart in phase, not
in quality. (It also tapers a mel with fewer frames than overlap by its own envelope, which a stream cannot know.)

On speech (nine recordings, `hifigan_22k`: PESQ-WB 4.03, mel error −32.3 dB) that is 5 dB less close to the mel than 32 iterations
over the whole (4.12, −37.2) and 7 dB closer than RTISI-LA on a fixed magnitude (3.81, −25.6).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from torchmelinv.conventions import MelConvention
from torchmelinv.door import check_shape, doubtful_values
from torchmelinv.errors import InputError
from torchmelinv.filterbank import MelFilterbank
from torchmelinv.frame import de_emphasise
from torchmelinv.joint.mel_consistent import MelConsistent
from torchmelinv.joint.mel_target import mel_target
from torchmelinv.level import expand
from torchmelinv.ops.items import over_items
from torchmelinv.ops.precision import full_precision
from torchmelinv.phase.rtisi import RtisiBuffer, RtisiLa, rtisi_tables
from torchmelinv.presets import as_convention

# chosen on speech: 20 iterations are 1 dB closer to the mel at twice the time, a single sweep 2 dB less close at four fifths
USUAL_STREAM = MelConsistent(RtisiLa())


class Latency(NamedTuple):
    """How far samples lag behind frames, always: T frames have given max(0, hop · T − `samples`) of them."""

    frames: int  # that must be known after a frame
    samples: int  # hop · frames and the padding left of the waveform; a hop where that is less and the end is not yet known
    seconds: float  # of these samples


class _Carried(NamedTuple):
    """What one push hands to the next."""

    n_frames: int  # since the beginning
    items: tuple[int, ...]  # leading dimensions
    buffer: RtisiBuffer
    settled: Tensor  # the newest hop of samples: some may have to wait, and the last one is needed for de-emphasis, (items, hop)


class StreamingInverter:
    """Mel frames (…, n_mels, n_frames ≥ 1) pushed as they come -> samples (…, n), in all what `convention.n_samples` says.

    `convention`: a `MelConvention`, a preset's name or a JSON file. `phase`: `MelConsistent(RtisiLa(...))`, whose `look_ahead` is
    the latency (by default all frames that overlap one) and whose `n_iter` is the work a frame. `check=False`: no look at
    values, for which an accelerator is waited for in each push. Frames and states that do not fit are an `InputError`.

    `latency` and `state_bytes` are fixed. A push takes beside them what its own frames and samples need. Invariants: samples do
    not depend on how frames are divided among pushes, nor (on the CPU) on the other items, bit for bit; c · mel gives c · samples
    (√c at power 2) as long as squares fit the dtype, there being no peak to divide by. All conventions are served: what
    a level takes from an item's peak is not taken back in `MelInverter` either. Inference only: no gradient passes. Tables and
    state follow the mel's device and dtype, half precisions count as float32. Cost: `RtisiLa`'s, 0.4 s for a second of
    `hifigan_22k` on one thread.

        stream = StreamingInverter("hifigan_22k")
        for waveform in stream.invert(frames): play(waveform)          # or push(mel), push(mel), …, flush()
    """

    def __init__(self, convention: MelConvention | str, phase: MelConsistent = USUAL_STREAM, *, check: bool = True) -> None:
        if not isinstance(phase, MelConsistent) or not isinstance(phase.method, RtisiLa):
            raise InputError(f"phase is {phase!r}; a stream needs MelConsistent(RtisiLa(...)), which looks at no later frames")
        self.convention, self.phase, self.check = as_convention(convention), phase, check
        self._method = phase.method
        self._filterbank = MelFilterbank(self.convention)
        self._carried: _Carried | None = None
        frames = self._method.latency(self.convention)
        hop_length = self.convention.hop_length
        samples = max(hop_length * frames + self.convention.left_padding, hop_length * self.convention.ends_on_frame)
        self.latency = Latency(frames, samples, samples / self.convention.sample_rate)
        self.state_bytes = sum(part.nbytes for part in self._begin(torch.empty(1, 0, self.convention.n_mels)))  # an item, float32

    def __repr__(self) -> str:
        return f"StreamingInverter({self.convention!r}, phase={self.phase!r}, check={self.check})"

    @property
    def n_frames(self) -> int:
        """Frames pushed since the beginning."""
        return 0 if self._carried is None else self._carried.n_frames

    @torch.no_grad()
    @full_precision
    def push(self, mel: Tensor) -> Tensor:
        """The next frames -> the samples that they settle, (…, n ≥ 0). Refused frames leave the stream as it was."""
        mel = check_shape(mel, self.convention)
        items = tuple(mel.shape[:-2])
        rows = mel.reshape(-1, *mel.shape[-2:]).mT.contiguous()
        carried = self._carried
        if carried is None:
            *buffer, settled = self._begin(rows)
            carried = _Carried(0, items, RtisiBuffer(*buffer), settled)
        kind = "{}, on {}, leading dimensions {}".format
        comes, began = kind(mel.dtype, mel.device, items), kind(carried.settled.dtype, carried.settled.device, carried.items)
        if comes != began:
            raise InputError(f"the mel is {comes}; this stream began with {began}: flush() or reset() ends it")
        if self.check:
            doubtful_values(mel, self.convention)  # refuses; whether the level is another's, a few frames cannot tell
        samples, self._carried = self._advance(carried, rows, rows.new_ones(len(rows), 1))
        return samples

    @torch.no_grad()
    @full_precision
    def flush(self) -> Tensor:
        """The mel has ended: the samples that were still waiting, (…, n). The next push begins another mel."""
        carried = self._carried
        if carried is None:
            raise InputError("there is nothing to flush: push frames first")
        total = self.convention.n_samples(carried.n_frames)
        hops = -(-(total + self.latency.samples) // self.convention.hop_length) - carried.n_frames
        absent = carried.settled.new_zeros(len(carried.settled), max(1, hops), self.convention.n_mels)
        samples, _ = self._advance(carried, absent, absent[:, 0, :1])
        self.reset()
        return samples[..., : total - self._given(carried.n_frames)]

    def invert(self, mels: Iterable[Tensor]) -> Iterator[Tensor]:
        """One waveform for each piece of a mel, as it comes, and the last one from `flush`; end to end they are the whole.

        A mel longer than memory, in a file: `stream.invert(torch.tensor(mel[:, at : at + 1000]) for at in range(0, mel.shape[1],
        1000))` with `mel = numpy.load(path, mmap_mode="r")`.
        """
        for mel in mels:
            yield self.push(mel)
        yield self.flush()

    def reset(self) -> None:
        """Forget what was pushed."""
        self._carried = None

    def state_dict(self) -> dict[str, Any]:
        """What a stream of the same convention and phase goes on from: tensors and plain values, for `torch.save`."""
        made_by = {"convention": self.convention.to_json(), "phase": repr(self.phase)}
        if self._carried is None:
            return made_by
        n_frames, items, buffer, settled = self._carried
        return {**made_by, "n_frames": n_frames, "items": list(items), **buffer._asdict(), "settled": settled}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict()`, on the device where its tensors lie (`torch.load(..., map_location=...)`)."""
        own = StreamingInverter(self.convention, self.phase).state_dict()
        for name, value in own.items():
            if not isinstance(state, dict) or state.get(name) != value:
                raise InputError(f"this is no state of a stream with the same {name}: {value}")
        if "n_frames" not in state:
            return self.reset()
        try:
            items = tuple(map(int, state["items"]))
            parts = [state[name] for name in (*RtisiBuffer._fields, "settled")]
            like = self._begin(parts[-1].new_empty(math.prod(items), 0, self.convention.n_mels))
            fits = [(part.shape, part.dtype, part.device) for part in parts] == [(p.shape, p.dtype, p.device) for p in like]
            n_frames = int(state["n_frames"])
            fits = fits and n_frames == state["n_frames"] > 0
        except (AttributeError, KeyError, TypeError, ValueError):
            fits = False
        if not fits:
            raise InputError("this is no whole state of a stream: give all that state_dict() gave, on one device")
        self._carried = _Carried(n_frames, items, RtisiBuffer(*parts[:-1]), parts[-1])

    def _begin(self, rows: Tensor) -> tuple[Tensor, ...]:
        """What is carried before the first of these frames, (items, frames, n_mels)."""
        return *self._method.empty(self.convention.frame, rows), rows.new_zeros(len(rows), self.convention.hop_length)

    def _given(self, n_frames: int) -> int:
        """Samples that have left once so many frames have come."""
        return max(0, self.convention.hop_length * n_frames - self.latency.samples)

    def _advance(self, carried: _Carried, rows: Tensor, present: Tensor) -> tuple[Tensor, _Carried]:
        """Samples (…, n) and what is carried on, after frames (items, frames, n_mels) that are `present` (items, 1) or not, 0."""
        n_frames, ahead, hop_length = carried.n_frames, self.latency.frames, self.convention.hop_length

        def one(*tensors: Tensor) -> tuple[Tensor, ...]:
            rows, present, *state = tensors
            buffer, settled = RtisiBuffer(*state[:-1]), [state[-1]]
            unit = present.new_ones(len(present), 1, 1)
            target = mel_target(buffer.wanted, self._filterbank, self.convention, unit, self.phase.sweeps, self.phase.agreement)
            tables = rtisi_tables(self.convention.frame, rows)
            for hop, row in enumerate(rows.unbind(1), n_frames - ahead):
                # Frame by frame here, too: the last bits of an exponential may depend on how many are taken together.
                linear = torch.where(present > 0, expand(row[..., None], self.convention.level)[..., 0], 0)
                buffer = self._method.advance(tables, target.of, buffer, linear, present)
                settled.append(self._de_emphasised(buffer.finished, settled[-1], hop * hop_length - self.convention.left_padding))
            return torch.cat(settled, -1), *buffer, settled[-1]

        samples, *buffer, settled = over_items(one, rows, present, *carried.buffer, carried.settled)
        after = n_frames + rows.shape[1]
        wait = self.latency.samples - hop_length * ahead - self.convention.left_padding
        leave = slice(samples.shape[-1] - wait - (self._given(after) - self._given(n_frames)), samples.shape[-1] - wait)
        waveform = samples[:, leave].reshape(*carried.items, leave.stop - leave.start)
        return waveform, _Carried(after, carried.items, RtisiBuffer(*buffer), settled)

    def _de_emphasised(self, samples: Tensor, before: Tensor, position: int) -> Tensor:
        """A hop of samples, from this position of the waveform on, its pre-emphasis undone from the hop `before` on."""
        coefficient = self.convention.pre_emphasis
        if coefficient == 0:
            return samples
        if position < 0:  # in the padding, of which the waveform knows nothing
            samples = samples.clone()
            samples[:, :-position] = 0
        decay = coefficient ** torch.arange(1, samples.shape[-1] + 1, dtype=torch.float64)
        return de_emphasise(samples, coefficient) + before[:, -1:] * decay.to(before.dtype).to(before.device)
