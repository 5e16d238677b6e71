"""The inversion as `torch.ops.torchmelinv.invert`, for compiled graphs and `torch.func`.

Operators take tensors and numbers. An inverter has a name, a text that describes all its settings,
and is found by it in a registry of this process.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from torchmelinv._utils.black_box import define_operator
from torchmelinv._utils.tracing import passes_gradient, refuse_jvp
from torchmelinv._utils.validation import (
    as_tensor,
    check_channels,
    check_length,
    check_real,
    is_of_items,
)
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.transforms.mel_checks import check_mel_shape


class Invertible(Protocol):
    """What the operator needs of a `MelInverter`."""

    gradient: Any
    channels: bool
    check: bool

    @property
    def convention(self) -> MelConvention: ...

    def _register(self, name: str) -> None: ...

    def _invert(
        self,
        mel: Tensor,
        lengths: Tensor | None,
        length: int | None,
        init_waveform: Tensor | None,
        trains: bool | None = None,
    ) -> Any: ...


_inverters: dict[str, Invertible] = {}


def register(inverter: Invertible, name: str) -> None:
    """Make an inverter known to the operator as it is now.

    It replaces an earlier one of this name: a class of the user may have been defined anew.
    """
    _inverters[name] = copy.copy(inverter)


def _inverter(name: str) -> Invertible:
    if name not in _inverters:
        raise InputError(
            f"this process has no inverter with the settings {name}; call a MelInverter with them "
            "under torch.compile first"
        )
    return _inverters[name]


def _compute(
    mel: Tensor,
    lengths: Tensor | None,
    length: int | None,
    init_waveform: Tensor | None,
    trains: bool,
    name: str,
) -> Tensor:
    """Invert a mel; `trains` says whether a gradient with respect to it passes."""
    inverter = _inverter(name)
    if mel.requires_grad and inverter.check:  # the backward: the forward has checked the values
        inverter = copy.copy(inverter)
        inverter.check = False
    waveform: Tensor = inverter._invert(mel, lengths, length, init_waveform, trains).waveform
    return waveform


def _shape_of(
    mel: Tensor, lengths: Any, length: int | None, init_waveform: Any, trains: bool, name: str
) -> Sequence[int]:
    n_samples = _inverter(name).convention.n_samples(mel.shape[-1]) if length is None else length
    return *mel.shape[:-2], n_samples


_invert = define_operator(
    "invert",
    "Tensor? lengths, SymInt? length, Tensor? init_waveform, bool trains, str name",
    _compute,
    _shape_of,
)


def invert_by_operator(
    inverter: Invertible,
    name: str,
    mel: Tensor,
    lengths: Any,
    length: Any,
    init_waveform: Tensor | None,
) -> Tensor:
    """Return the waveform of an inverter whose settings have this name."""
    mel = check_mel_shape(mel, inverter.convention)
    if inverter.channels:
        check_channels(mel)
    symbolic = torch.compiler.is_compiling() and not isinstance(length, Tensor | list | tuple)
    if not symbolic and is_of_items(length):
        raise InputError(
            "length holds the samples of each item; in compiled graphs and torch.func it must be "
            "one number"
        )
    if length is not None and not symbolic:
        check_length(length)
    refuse_jvp("MelInverter")
    inverter._register(name)
    trains = inverter.gradient != "none" and torch.is_grad_enabled() and passes_gradient(mel)
    if not trains:
        mel = mel.detach()
    if lengths is not None:
        lengths = as_tensor(lengths)
    if init_waveform is not None and passes_gradient(check_real(init_waveform, "init_waveform")):
        raise InputError(
            "init_waveform requires a gradient, which does not pass through it in compiled graphs "
            "and torch.func; detach it"
        )
    return _invert(mel, lengths, length, init_waveform, trains, name)
