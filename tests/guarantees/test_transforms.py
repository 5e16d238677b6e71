"""`torch.func`, `torch.jit` and fake tensors: what works, and what is refused by name."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import grad, jvp, vjp, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from tests.tiny import TINY
from torchmelinv import STFT, MelFilterbank, MelInverter, MelSpectrogram, functional, losses
from torchmelinv.errors import InputError
from torchmelinv.magnitude.entropic import entropic
from torchmelinv.magnitude.nnls import nnls
from torchmelinv.magnitude.pinv import pinv
from torchmelinv.transforms.compression import decompress

# Forward derivatives of torch use torch.jit themselves.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")

MEL = MelSpectrogram(TINY)
BANK = MelFilterbank(TINY)


def waveforms() -> Tensor:
    return 0.1 * torch.randn(3, 400, dtype=torch.float64)


def pair_of(name: str) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a loss and its two arguments; losses of one argument get a second that is unused."""
    first, second = waveforms(), waveforms()
    if name == "MultiResolutionSTFTLoss":
        return losses.MultiResolutionSTFTLoss([(64, 16, 64), (128, 30, 100)]), first, second
    loss = getattr(losses, name)(TINY)
    if name in ("SmoothnessLoss", "ModulationSpectrumLoss"):
        return loss, MEL(first), MEL(second)
    if name == "ConsistencyLoss":
        return loss, STFT(TINY)(first).abs(), STFT(TINY)(second).abs()
    return loss, first, second


@pytest.mark.parametrize("name", losses.__all__)
def test_losses_have_gradients_of_each_sample_and_forward_derivatives(name):
    loss, first, second = pair_of(name)
    others = () if name == "SmoothnessLoss" else (second,)
    leaf = first.clone().requires_grad_()
    items = [loss(leaf[i], *(each[i] for each in others)) for i in range(len(leaf))]
    (expected,) = torch.autograd.grad(sum(items), leaf)
    torch.testing.assert_close(vmap(grad(loss))(first, *others), expected)
    tangent = torch.randn_like(first)
    derivative = jvp(lambda x: loss(x, *others), (first,), (tangent,))[1]
    (whole,) = torch.autograd.grad(loss(leaf, *others), leaf)
    torch.testing.assert_close(derivative, (whole * tangent).sum())


def test_analysis_and_filterbank():
    x = waveforms()
    torch.testing.assert_close(vmap(MEL)(x), MEL(x))
    counts = torch.tensor([400, 300, 200])
    mapped = vmap(lambda each, n: MEL(each, lengths=n))(x, counts)
    torch.testing.assert_close(mapped, MEL(x, lengths=counts))
    spectrum = STFT(TINY)(x)
    torch.testing.assert_close(vmap(STFT(TINY).inverse)(spectrum), STFT(TINY).inverse(spectrum))
    power = spectrum.abs().square()
    torch.testing.assert_close(vmap(BANK)(power), BANK(power))
    tangent, weights = torch.randn_like(x), torch.randn_like(MEL(x))
    forward = (jvp(MEL, (x,), (tangent,))[1] * weights).sum()
    (backward,) = vjp(MEL, x)[1](weights)
    torch.testing.assert_close(forward, (backward * tangent).sum())


def test_compression():
    values, tangent = MEL(waveforms()), MEL(waveforms())
    derivative = jvp(lambda x: decompress(x, TINY.level), (values,), (tangent,))[1]
    torch.testing.assert_close(derivative, decompress(values, TINY.level) * tangent)


@pytest.mark.parametrize("inverse", [entropic, pinv])
def test_filterbank_inverses(inverse):
    mel = MEL.linear_mel(waveforms())
    torch.testing.assert_close(vmap(lambda x: inverse(x, BANK))(mel), inverse(mel, BANK))
    leaf = mel.clone().requires_grad_()
    (expected,) = torch.autograd.grad(inverse(leaf, BANK).square().sum(), leaf)
    gradients = vmap(grad(lambda x: inverse(x, BANK).square().sum()))(mel)
    torch.testing.assert_close(gradients, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("gradient", ["unrolled", "phase_detached", "none"])
def test_an_inverter_has_gradients_of_each_sample(gradient):
    inverter, loss = MelInverter(TINY, n_iter=2, gradient=gradient), losses.MelLoss(TINY)
    mel = MEL(waveforms())

    def distance(mel: Tensor) -> Tensor:
        return loss(inverter(mel), mel)

    leaf = mel.clone().requires_grad_()
    total = sum(distance(each) for each in leaf)
    (expected,) = torch.autograd.grad(total, leaf)
    torch.testing.assert_close(vmap(grad(distance))(mel), expected)
    torch.testing.assert_close(grad(lambda x: vmap(distance)(x).sum())(mel), expected)
    (below,) = torch.autograd.grad(vmap(distance)(leaf).sum(), leaf)
    torch.testing.assert_close(below, expected)


def test_an_inverter_maps_any_dimension_and_lengths():
    inverter, mel = MelInverter(TINY, n_iter=2), MEL(waveforms())
    expected = inverter(mel)
    torch.testing.assert_close(vmap(inverter, in_dims=1)(mel.transpose(0, 1)), expected)
    counts = torch.tensor([20, 12, 7])
    mapped = vmap(lambda x, n: inverter(x, lengths=n))(mel, counts)
    torch.testing.assert_close(mapped, inverter(mel, lengths=counts))


def test_refused_transforms():
    inverter, mel = MelInverter(TINY, n_iter=1), MEL(waveforms())
    with pytest.raises(InputError, match="jvp of MelInverter is not supported"):
        jvp(inverter, (mel,), (mel,))
    with pytest.raises(InputError, match="no second derivative"):
        grad(lambda x: grad(lambda y: inverter(y).square().sum())(x).sum())(mel)
    with pytest.raises(InputError, match="transforms of nnls are not supported"):
        vmap(lambda x: nnls(x, BANK))(mel.exp())
    magnitude = STFT(TINY)(waveforms()).abs()
    with pytest.raises(InputError, match="transforms of phase methods are not supported"):
        vmap(lambda x: functional.magnitude_to_waveform(x, TINY))(magnitude)
    start = waveforms()[0].requires_grad_()
    with pytest.raises(InputError, match="init_waveform requires a gradient"):
        vmap(lambda x: inverter(x, init_waveform=start))(mel)
    with pytest.raises(InputError, match="length holds the samples of each item"):
        vmap(lambda x: inverter(x, length=[5]))(mel)


@pytest.mark.parametrize(
    "module",
    [MEL, STFT(TINY), BANK, losses.MelLoss(TINY), MelInverter(TINY)],
    ids=lambda module: type(module).__name__,
)
def test_torchscript_is_refused(module):
    name = type(module).__name__
    message = f"{name} cannot be traced or scripted by torch.jit; use torch.export"
    for model in (module, nn.Sequential(module)):
        with pytest.raises(InputError, match=message):
            torch.jit.script(model)


@pytest.mark.parametrize("module", [MEL, MelInverter(TINY)])
def test_tracing_is_refused(module):
    x = waveforms() if module is MEL else MEL(waveforms())
    with pytest.raises(InputError, match="cannot be traced or scripted"):
        torch.jit.trace(module, x)


@pytest.mark.parametrize(
    ("function", "example"),
    [
        (MEL, waveforms()),
        (lambda x: losses.MelLoss(TINY)(x, x), waveforms()),
        (lambda x: STFT(TINY).inverse(STFT(TINY)(x)), waveforms()),
        (MelInverter(TINY, n_iter=1), MEL(waveforms())),
    ],
)
def test_fake_tensors_have_the_shape_and_leave_nothing_behind(function, example):
    expected = function(example)
    with FakeTensorMode() as mode:
        result = function(mode.from_tensor(example))
    assert type(result) is not Tensor
    assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
    torch.testing.assert_close(function(example), expected)


def test_an_inverter_is_one_node_of_a_traced_graph():
    inverter, mel = MelInverter(TINY, n_iter=1), MEL(waveforms())
    graph = make_fx(inverter, tracing_mode="symbolic")(mel)
    assert [str(node.target) for node in graph.graph.nodes].count("torchmelinv.invert.default") == 1
    torch.testing.assert_close(graph(mel[..., :9]), inverter(mel[..., :9]))
