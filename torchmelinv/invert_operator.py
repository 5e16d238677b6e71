"""The inversion as one operator, `torch.ops.torchmelinv.invert`, with derivative and batching rule.

`torch.compile` would unroll the iterations, which takes it minutes and gains nothing, and
`torch.func` cannot see inside them. Both get this operator instead. Its backward inverts once more,
with gradients, so it keeps nothing but the mel.

Operators take tensors and numbers. An inverter is named by a text that describes all its settings,
and is found by it in a registry of this process.
"""

from __future__ import annotations

import copy
from typing import Any, NoReturn, Protocol

import torch
from torch import Tensor, nn

from torchmelinv._utils.batching import mapped_first
from torchmelinv._utils.precision import no_second_derivative
from torchmelinv._utils.tracing import passes_gradient, refuse_jvp, transform_levels
from torchmelinv.conventions import MelConvention
from torchmelinv.errors import InputError
from torchmelinv.transforms.mel_checks import check_mel_shape


class Invertible(Protocol):
    """What the operator needs of a `MelInverter`."""

    gradient: Any
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
    """Make an inverter known to the operator as it is now."""
    if name not in _inverters:
        _inverters[name] = copy.copy(inverter)


def _inverter(name: str) -> Invertible:
    if name not in _inverters:
        raise InputError(
            f"this process has no inverter with the settings {name}; call a MelInverter with them "
            "under torch.compile first"
        )
    return _inverters[name]


@torch.library.custom_op("torchmelinv::invert", mutates_args=())
def invert(
    mel: Tensor,
    lengths: Tensor | None,
    length: int | None,
    init_waveform: Tensor | None,
    trains: bool,
    name: str,
) -> Tensor:
    """Invert a mel; `trains` says whether a gradient with respect to it passes."""
    return _inverter(name)._invert(mel, lengths, length, init_waveform, trains).waveform


@invert.register_fake
def _(
    mel: Tensor,
    lengths: Tensor | None,
    length: int | None,
    init_waveform: Tensor | None,
    trains: bool,
    name: str,
) -> Tensor:
    n_samples = _inverter(name).convention.n_samples(mel.shape[-1]) if length is None else length
    return mel.new_empty(*mel.shape[:-2], n_samples)


# Not a `custom_op`, inside which autograd is off.
torch.library.define(
    "torchmelinv::invert_backward",
    "(Tensor grad, Tensor mel, Tensor? lengths, SymInt? length, Tensor? init_waveform, str name)"
    " -> Tensor",
)


@torch.library.impl("torchmelinv::invert_backward", "CompositeExplicitAutograd")
def _invert_backward(
    grad: Tensor,
    mel: Tensor,
    lengths: Tensor | None,
    length: int | None,
    init_waveform: Tensor | None,
    name: str,
) -> Tensor:
    """Return the gradient with respect to the mel."""
    inverter = copy.copy(_inverter(name))
    inverter.check = False  # done in the forward
    with torch.enable_grad():
        mel = mel.detach().requires_grad_()
        waveform = inverter._invert(mel, lengths, length, init_waveform, True).waveform
        return torch.autograd.grad(waveform, mel, grad)[0]


@torch.library.register_fake("torchmelinv::invert_backward")
def _(
    grad: Tensor,
    mel: Tensor,
    lengths: Tensor | None,
    length: int | None,
    init_waveform: Tensor | None,
    name: str,
) -> Tensor:
    return torch.empty_like(mel)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    mel, lengths, ctx.length, init_waveform, _, ctx.name = inputs
    ctx.save_for_backward(mel, lengths, init_waveform)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    mel, lengths, init_waveform = ctx.saved_tensors
    mel_grad = torch.ops.torchmelinv.invert_backward(
        grad, mel, lengths, ctx.length, init_waveform, ctx.name
    )
    return mel_grad, None, None, None, None, None


invert.register_autograd(_backward, setup_context=_setup_context)


@invert.register_vmap
def _(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Tensor, int]:
    return invert(*mapped_first(info.batch_size, in_dims, inputs)), 0


@torch.library.register_vmap("torchmelinv::invert_backward")
def _(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> tuple[Tensor, int]:
    mapped = mapped_first(info.batch_size, in_dims, inputs)
    return torch.ops.torchmelinv.invert_backward(*mapped), 0


class _Invert(torch.autograd.Function):
    """The operator for `torch.func`, which does not see the derivative of a `custom_op`."""

    generate_vmap_rule = True

    @staticmethod
    def forward(*inputs: Any) -> Tensor:
        return invert(*inputs)

    setup_context = staticmethod(_setup_context)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor | None, ...]:
        mel, lengths, init_waveform = ctx.saved_tensors
        inputs = (grad[0], mel, lengths, ctx.length, init_waveform, ctx.name)
        return _InvertBackward.apply(*inputs), None, None, None, None, None


class _InvertBackward(torch.autograd.Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(*inputs: Any) -> Tensor:
        return torch.ops.torchmelinv.invert_backward(*inputs)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> NoReturn:
        raise no_second_derivative()


def needs_operator(mel: Any) -> bool:
    """Return whether a mel needs the operator; `torch.export` traces the single steps."""
    if torch.compiler.is_compiling():
        # Not `is_exporting`, which `torch.compile` takes for True.
        return torch.compiler.is_dynamo_compiling()
    return type(mel) not in (Tensor, nn.Parameter) or bool(transform_levels())


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
    if isinstance(length, Tensor | list | tuple):
        raise InputError(
            "length holds the samples of each item; in compiled graphs and torch.func it must be "
            "one number"
        )
    refuse_jvp("MelInverter")
    inverter._register(name)
    trains = inverter.gradient != "none" and torch.is_grad_enabled() and passes_gradient(mel)
    if not trains:
        mel = mel.detach()
    if lengths is not None:
        lengths = torch.as_tensor(lengths)
    if init_waveform is not None:
        init_waveform = init_waveform.detach()
    inputs = (mel, lengths, length, init_waveform, trains, name)
    return invert(*inputs) if torch.compiler.is_compiling() else _Invert.apply(*inputs)
