"""Starts: the promised magnitude and angles, by name or given, as a spectrum or as angles that a start takes again."""

from __future__ import annotations

import pytest
import torch

from tests.problems import TINY, frame_convention, tones
from torchmelinv.errors import InputError
from torchmelinv.frame import Frame
from torchmelinv.functional import griffin_lim, start_angles
from torchmelinv.ops.backend import backend
from torchmelinv.phase.pghi import pghi
from torchmelinv.phase.spsi import spsi
from torchmelinv.phase.start import STARTS, borrow_phase, check_start, start_spectrum

FRAME = frame_convention(n_fft=16, hop_length=4)
MAGNITUDE = torch.rand(2, 6, 9, dtype=torch.float64)


def test_starts_have_the_magnitude_and_the_same_angles_for_each_item():
    zero = start_spectrum("zero", 0, MAGNITUDE, FRAME)
    torch.testing.assert_close(zero, MAGNITUDE + 0j)
    random = start_spectrum("random", 3, MAGNITUDE, FRAME)
    torch.testing.assert_close(random.abs(), MAGNITUDE)
    torch.testing.assert_close(random[0].angle(), random[1].angle())
    given = torch.rand_like(MAGNITUDE)
    torch.testing.assert_close(start_spectrum(given, 0, MAGNITUDE, FRAME), torch.polar(MAGNITUDE, given))


def test_what_is_read_off_the_magnitude_goes_by_its_name():
    for name, angles in (("spsi", spsi(MAGNITUDE, FRAME)), ("pghi", pghi(MAGNITUDE, FRAME, 3))):
        torch.testing.assert_close(start_spectrum(name, 3, MAGNITUDE, FRAME), torch.polar(MAGNITUDE, angles))


@pytest.mark.parametrize("name", STARTS)
def test_magnitudes_have_their_gradient_and_angles_none(name):
    """The derivative of A e^(iφ) along itself is 1, for every start: no angle answers to the magnitude."""
    magnitude = MAGNITUDE.clone().requires_grad_()
    spectrum = start_spectrum(name, 0, magnitude, FRAME)
    along = (spectrum * spectrum.detach().sgn().conj()).real.sum()
    across = (spectrum * spectrum.detach().sgn().conj()).imag.sum()
    torch.testing.assert_close(torch.autograd.grad(along, magnitude, retain_graph=True)[0], torch.ones_like(MAGNITUDE))
    gradient = torch.autograd.grad(across, magnitude)[0]
    torch.testing.assert_close(gradient, torch.zeros_like(MAGNITUDE), atol=1e-12, rtol=0)


@pytest.mark.gpu
@pytest.mark.parametrize("name", STARTS)
def test_a_graph_records_every_start_by_kernels(name):
    magnitude = MAGNITUDE.float().cuda()
    with backend("cuda"):
        expected = start_spectrum(name, 0, magnitude, FRAME)  # makes tables and modules
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            found = start_spectrum(name, 0, magnitude, FRAME)
    graph.replay()
    assert torch.equal(found, expected)


@pytest.mark.gpu
def test_no_graph_records_what_asks_the_host():
    magnitude = MAGNITUDE.float().cuda()
    graph = torch.cuda.CUDAGraph()
    with backend("reference"), torch.cuda.graph(graph), pytest.raises(InputError, match="use backend 'cuda'"):
        start_spectrum("pghi", 0, magnitude, FRAME)


@pytest.mark.parametrize("name", ["randm", "Zero", "", None, 0, ["zero"]])
def test_unknown_starts(name):
    with pytest.raises(InputError, match="it must be one of 'zero', 'random', 'spsi', 'pghi'"):
        check_start(name)
    with pytest.raises(InputError, match="start is"):
        start_spectrum(name, 0, MAGNITUDE, FRAME)


def test_a_near_miss_is_named():
    with pytest.raises(InputError, match="did you mean 'random'"):
        check_start("randm")
    assert [check_start(name) for name in STARTS] == list(STARTS)


@pytest.mark.parametrize("name", STARTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_start_angles_are_what_the_start_itself_does(name, dtype):
    frame = TINY.frame
    magnitude = Frame(frame).analyse(tones(800, (2, 2), dtype)).abs()
    angles = start_angles(magnitude, frame, name, seed=4)
    assert (angles.shape, angles.dtype) == (magnitude.shape, dtype)
    ours, theirs = (griffin_lim(magnitude, frame, 2, start=start, seed=4) for start in (angles, name))
    tolerance = 1e-4 if dtype == torch.float32 else 1e-8  # two iterations of rounding in quiet bins
    torch.testing.assert_close(ours, theirs, atol=tolerance, rtol=0)


@pytest.mark.parametrize("name", STARTS)
def test_start_angles_take_every_kind_of_frame_and_have_no_gradient(name):
    magnitude = Frame(TINY).analyse(tones(800)).abs()
    angles = start_angles(magnitude.clone().requires_grad_(), TINY, name)
    assert not angles.requires_grad
    assert torch.equal(angles, start_angles(magnitude, Frame(TINY), name))
    assert torch.equal(start_angles(magnitude[None, None], TINY, name)[0, 0], angles)
    half = start_angles(magnitude.half(), TINY, name)
    assert half.dtype == torch.float32
    assert half.isfinite().all()


def test_the_usual_start_angles_are_pghis():
    assert torch.equal(start_angles(MAGNITUDE.mT, FRAME), start_angles(MAGNITUDE.mT, FRAME, "pghi", 0))


def test_previous_goes_on_from_the_chunk_before():
    magnitude = Frame(TINY).analyse(tones(1600, (2,), torch.float64)).abs()
    whole = start_angles(magnitude, TINY, "spsi")
    rest = start_angles(magnitude[..., 20:], TINY, "spsi", previous=whole[..., 19])
    expected = spsi(magnitude[..., 20:].mT, TINY.frame, whole[..., 19]).mT
    torch.testing.assert_close(rest, expected)
    joined = torch.cat([whole[..., :20], rest], -1)
    errors = []
    for angles in (whole, joined, torch.cat([whole[..., :20], start_angles(magnitude[..., 20:], TINY, "spsi")], -1)):
        again = Frame(TINY).analyse(Frame(TINY).synthesise(torch.polar(magnitude, angles))).abs()
        errors.append((again - magnitude)[..., 16:26].norm())  # around the seam
    assert errors[1] < 1.1 * errors[0] < errors[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "spsy"}, "did you mean 'spsi'"),
        ({"start": ["spsi"]}, "start is a list"),
        ({"start": MAGNITUDE}, "start is a Tensor"),
        ({"seed": "x"}, "seed is 'x'"),
        ({"start": "pghi", "previous": torch.zeros(2, 9)}, "spsi alone goes on"),
        ({"previous": torch.zeros(9)}, r"previous has shape \(9,\); it must be \(2, 9\)"),
        ({"previous": [0.0]}, "previous is a list"),
    ],
)
def test_start_angles_that_cannot_be(options, message):
    with pytest.raises(InputError, match=message):
        start_angles(MAGNITUDE.mT, FRAME, **options)


def test_start_angles_want_a_frame():
    with pytest.raises(InputError, match="Frame"):
        start_angles(MAGNITUDE.mT, "hifigan_22k")


@pytest.mark.parametrize("shape", [(3, 9, 6), (1, 2, 9, 6), (2, 9, 5)])
def test_given_angles_that_cannot_be(shape):
    with pytest.raises(InputError, match="start"):
        griffin_lim(MAGNITUDE.mT, FRAME, 1, start=torch.zeros(shape))
    with pytest.raises(InputError, match="floating point"):
        griffin_lim(MAGNITUDE.mT, FRAME, 1, start=torch.zeros(2, 9, 6).int())


def test_given_angles_broadcast_and_pass_no_gradient():
    angles = torch.rand(9, 6, dtype=torch.float64)
    expected = griffin_lim(MAGNITUDE.mT, FRAME, 1, start=angles.expand(2, -1, -1))
    found = griffin_lim(MAGNITUDE.mT, FRAME, 1, start=angles.requires_grad_())
    assert torch.equal(found, expected)


def test_start_angles_want_a_magnitude():
    with pytest.raises(InputError, match="magnitude has shape"):
        start_angles(MAGNITUDE, FRAME)
    with pytest.raises(InputError, match="take its magnitude first"):
        start_angles(MAGNITUDE.mT + 0j, FRAME)


def test_borrowed_phase():
    spectrum = torch.randn(2, 6, 9, dtype=torch.complex128)
    spectrum[0, 0, 0] = 0
    result = borrow_phase(spectrum, MAGNITUDE)
    torch.testing.assert_close(result.abs(), MAGNITUDE)
    torch.testing.assert_close(result.sgn(), torch.where(spectrum == 0, 1, spectrum).sgn())
