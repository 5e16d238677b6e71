"""The state of a stream, and its check where it comes from a file."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor

from torchmelinv._utils.validation import LARGEST_LENGTH, is_finite
from torchmelinv.errors import InputError
from torchmelinv.phase.rtisi import RTISIBuffer


class StreamState(NamedTuple):
    """What one push hands to the next."""

    n_frames: int  # pushed so far
    items: tuple[int, ...]  # leading dimensions
    buffer: RTISIBuffer
    last_hop: Tensor  # the newest final samples, (items, hop_length)

    def to_dict(self) -> dict[str, Any]:
        """Return tensors and plain values, for `torch.save`."""
        frames = {"n_frames": self.n_frames, "items": list(self.items)}
        return {**frames, **self.buffer._asdict(), "last_hop": self.last_hop}


def read_state(
    values: dict[str, Any], first_tensors: Callable[[Tensor], tuple[Tensor, ...]], n_mels: int
) -> StreamState:
    """Return the state with these values, which are untrusted input.

    Args:
        values: The result of `StreamState.to_dict`.
        first_tensors: Returns the tensors of a state before frames like (items, frames, n_mels).
        n_mels: Number of mel bands.

    Returns:
        The state.

    Raises:
        InputError: If a value is missing, or is not as in a state of this stream.
    """
    try:
        n_frames, items = int(values["n_frames"]), tuple(map(int, values["items"]))
        tensors = [values[name] for name in (*RTISIBuffer._fields, "last_hop")]
        like = tensors[-1].new_empty(math.prod(items), 0, n_mels)
        given, expected = (
            [(tensor.shape, tensor.dtype, tensor.device, tensor.layout) for tensor in each]
            for each in (tensors, first_tensors(like))
        )
        valid = given == expected and n_frames == values["n_frames"] > 0
        valid = valid and n_frames <= LARGEST_LENGTH and like.device.type != "meta"
        valid = valid and all(map(is_finite, tensors))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RuntimeError):
        valid = False
    if not valid:
        raise InputError(
            "this state is incomplete or damaged: give all that state_dict() returned, on one "
            "device"
        )
    return StreamState(n_frames, items, RTISIBuffer(*tensors[:-1]), tensors[-1])
