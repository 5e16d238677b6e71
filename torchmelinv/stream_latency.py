"""The latency of a stream, which the look-ahead and the convention determine."""

from __future__ import annotations

from typing import NamedTuple

from torchmelinv.conventions import MelConvention

__all__ = ["Latency"]


class Latency(NamedTuple):
    """How far the samples of a stream lag behind its frames.

    The lag is constant: T frames have returned ``max(0, hop_length * T - samples)`` samples.

    Args:
        frames: Later frames that must be known before a frame is final.
        samples: ``hop_length * frames`` plus the left padding of the convention; at least one hop
            if the waveform ends on a frame.
        seconds: Duration of these samples.

    Example:
        >>> import torchmelinv as tmi
        >>> tmi.StreamingInverter("hifigan_22k").latency.samples
        1152
    """

    frames: int
    samples: int
    seconds: float


def stream_latency(convention: MelConvention, frames: int) -> Latency:
    """Return the latency of a method that waits for so many later frames."""
    hop_length = convention.hop_length
    # If the waveform ends on a frame, T frames span T − 1 hops: a hop waits for the next frame.
    least = hop_length * convention.ends_on_frame
    samples = max(hop_length * frames + convention.left_padding, least)
    return Latency(frames, samples, samples / convention.sample_rate)
