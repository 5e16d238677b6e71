"""`torch.compile`: one graph for all lengths, no break, the values and gradients of eager."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.problems import PADDINGS
from tests.tiny import TINY
from torchmelinv import STFT, MelFilterbank, MelInverter, MelSpectrogram, losses, metrics
from torchmelinv.compat import torchaudio as compat
from torchmelinv.errors import InputError
from torchmelinv.transforms.compression import compress, decompress

# The compiler reads the gradient of every input.
pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
COUNTERS = torch._dynamo.utils.counters
LENGTHS = (400, 441, 503)


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    COUNTERS.clear()
    yield
    torch._dynamo.reset()


def waveform(n: int) -> Tensor:
    return 0.1 * torch.randn(2, n)


def mel(n: int) -> Tensor:
    return MelSpectrogram(TINY)(waveform(n))


def spectrum(n: int) -> Tensor:
    return STFT(TINY)(waveform(n))


def lengths(n: int) -> Tensor:
    return torch.tensor([n, n // 2])


def evaluate(function: Callable[..., Tensor], inputs: list[Tensor]) -> list[Tensor]:
    """Return the value and the gradients of the inputs that are not integers."""
    leaves = [
        each.clone().requires_grad_() if each.dtype != torch.long else each for each in inputs
    ]
    value = function(*leaves)
    value.abs().square().sum().backward()
    return [value.detach(), *(each.grad for each in leaves if each.grad is not None)]


def check(function: Callable[..., Any], *makes: Callable[[int], Tensor]) -> None:
    """Compare with eager for several lengths, with a single graph."""
    compiled = torch.compile(function, backend="aot_eager", fullgraph=True, dynamic=True)
    for n in (*LENGTHS, LENGTHS[0]):
        inputs = [make(n) for make in makes]
        expected, actual = (evaluate(each, inputs) for each in (function, compiled))
        for value, reference in zip(actual, expected, strict=True):
            atol = 1e-5 * float(reference.abs().max())
            torch.testing.assert_close(value, reference, rtol=0, atol=atol)
    assert COUNTERS["stats"]["unique_graphs"] == 1
    assert not COUNTERS["graph_break"]


STFT_ = STFT(TINY)
MEL = MelSpectrogram(TINY)
BANK = MelFilterbank(TINY)
LEVEL = TINY.level
SQUARED = losses.MelLoss(TINY, p=2)
CONSISTENCY = losses.ConsistencyLoss(TINY)
CASES: dict[str, tuple[Any, ...]] = {
    "analysis": (MEL, waveform),
    "analysis of a padded batch": (lambda x, n: MEL(x, lengths=n), waveform, lengths),
    "stft and inverse": (lambda x: STFT_.inverse(STFT_(x), x.shape[-1]), waveform),
    "filterbank": (lambda x: BANK(x.abs()), spectrum),
    "adjoint": (lambda x: BANK.adjoint(x.exp()), mel),
    "pinv": (lambda x: BANK.pinv(x.exp()), mel),
    "compression": (lambda x: compress(decompress(x, LEVEL), LEVEL), mel),
    "MelLoss": (losses.MelLoss(TINY), waveform, waveform),
    "MelLoss, padded": (
        lambda x, y, n: SQUARED(x, y, lengths=n),
        waveform,
        waveform,
        lengths,
    ),
    "MultiResolutionSTFTLoss": (
        losses.MultiResolutionSTFTLoss([(64, 16, 64), (128, 30, 100)]),
        waveform,
        waveform,
    ),
    "SpectralConvergenceLoss": (losses.SpectralConvergenceLoss(TINY), waveform, waveform),
    "ComplexLoss": (losses.ComplexLoss(TINY), waveform, waveform),
    "ConsistencyLoss": (
        lambda c: CONSISTENCY(c + 0.5 * c.abs()),
        spectrum,
    ),
    "SmoothnessLoss": (losses.SmoothnessLoss(TINY), mel),
    "ModulationSpectrumLoss": (losses.ModulationSpectrumLoss(TINY), mel, mel),
    "log_mel_l1": (metrics.log_mel_l1, lambda n: mel(n).exp(), lambda n: mel(n).exp()),
    "compat.MelSpectrogram": (compat.MelSpectrogram(8000, n_fft=64, n_mels=8), waveform),
    "compat.GriffinLim": (
        compat.GriffinLim(n_fft=64, n_iter=2, rand_init=False),
        lambda n: spectrum(n).abs() + 0.1,
    ),
    "compat.InverseMelScale": (
        compat.InverseMelScale(n_stft=33, n_mels=8, sample_rate=8000),
        lambda n: mel(n).exp(),
    ),
}


# `test_many_modules_stay_below_the_limit_of_recompilations` traces each of them once.
SLOW = {name for name in CASES if "Loss" in name} - {"MelLoss", "ConsistencyLoss"}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=pytest.mark.slow if name in SLOW else (), id=name)
        for name, case in CASES.items()
    ],
)
def test_one_graph_for_all_lengths(case):
    check(*case)


@pytest.mark.slow
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("options", [{}, {"pre_emphasis": 0.9, "remove_dc": True}])
def test_one_graph_in_each_geometry(padding, options):
    convention = TINY.replace(padding=padding, win_length=50, hop_length=20, **options)
    stft = STFT(convention)
    check(lambda x: stft.inverse(stft(x), x.shape[-1]), waveform)


def test_a_model_with_an_inverter_and_a_loss():
    inverter, loss = MelInverter(TINY, n_iter=3), losses.MelLoss(TINY)
    check(lambda x: loss(inverter(x), x.detach() + 0.1), mel)


@pytest.mark.parametrize("gradient", ["checkpointed", "phase_detached", 2])
def test_gradient_modes(gradient):
    check(MelInverter(TINY, n_iter=3, gradient=gradient), mel)


def test_an_inverter_with_lengths_length_and_initial_waveform():
    inverter = MelInverter(TINY, n_iter=2)
    check(
        lambda x, n, y: inverter(
            x, lengths=n, length=16 * x.shape[-1] - 5, init_waveform=y.detach()
        ),
        mel,
        lambda n: lengths(mel(n).shape[-1]),
        waveform,
    )


def test_options_that_are_set_later_are_honored():
    inverter, features = MelInverter(TINY, n_iter=2), mel(400)
    compiled = torch.compile(inverter, backend="eager", fullgraph=True)
    for n_iter, momentum_seed in ((2, 0), (5, 0), (5, 3), (2, 0)):
        inverter.n_iter, inverter.seed = n_iter, momentum_seed
        torch.testing.assert_close(compiled(features), inverter(features))
    assert COUNTERS["stats"]["unique_graphs"] == 3
    inverter.gradient = "none"
    assert not compiled(features.requires_grad_()).requires_grad


def test_inverters_of_other_settings_do_not_share_a_graph():
    features = mel(400)
    compiled = torch.compile(lambda inverter, x: inverter(x), backend="eager", fullgraph=True)
    for options in ({"phase": "griffin_lim"}, {"phase": "raar"}, {"restore": "none"}):
        inverter = MelInverter(TINY, n_iter=2, **options)
        torch.testing.assert_close(compiled(inverter, features), inverter(features))


def test_filterbanks_of_equal_shape_do_not_share_a_table():
    compiled = torch.compile(lambda bank, x: bank(x), backend="eager", fullgraph=True)
    x = torch.rand(5, 7)
    for _ in range(2):
        bank = MelFilterbank(torch.rand(3, 5))
        torch.testing.assert_close(compiled(bank, x), bank(x))


def test_many_modules_stay_below_the_limit_of_recompilations():
    """Wrappers that share code share the limit, which is 8 for each function."""
    pair = waveform(400), waveform(400)
    for loss in (
        losses.MelLoss(TINY),
        losses.SpectralConvergenceLoss(TINY),
        losses.ComplexLoss(TINY),
        losses.MultiResolutionSTFTLoss([(64, 16, 64)]),
    ):
        torch.compile(loss, backend="eager", fullgraph=True)(*pair)
    for n_mels in range(4, 10):
        analysis = MelSpectrogram(TINY.replace(n_mels=n_mels))
        torch.compile(analysis, backend="eager", fullgraph=True)(pair[0])
    for loss in (losses.SmoothnessLoss(TINY), losses.ConsistencyLoss(TINY)):
        features = mel(400) if isinstance(loss, losses.SmoothnessLoss) else spectrum(400)
        torch.compile(loss, backend="eager", fullgraph=True)(features)


def test_refusals_name_the_cause():
    inverter, features = MelInverter(TINY, n_iter=1), mel(400)
    compiled = torch.compile(inverter, backend="eager", fullgraph=True)
    with pytest.raises(torch._dynamo.exc.Unsupported, match="7 bands"):  # refused while tracing
        compiled(features[:, :7])
    with pytest.raises(InputError, match="NaN"):
        compiled(features.fill_(torch.nan))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # warnings of the compiler
def test_inductor_equals_eager():
    inverter, loss, analysis = MelInverter(TINY, n_iter=2), losses.MelLoss(TINY), MEL
    model = nn.Sequential(analysis, inverter)
    x = waveform(400)
    compiled = torch.compile(lambda x: loss(model(x), x), fullgraph=True, dynamic=True)
    for value, reference in zip(
        evaluate(compiled, [x]), evaluate(lambda x: loss(model(x), x), [x]), strict=True
    ):
        atol = 1e-4 * float(reference.abs().max())
        torch.testing.assert_close(value, reference, rtol=0, atol=atol)
