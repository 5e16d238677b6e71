"""The pretended device counts launches and waits exactly, and refuses to mix devices."""

from __future__ import annotations

import pytest
import torch

from tests.pretended_device import DEVICE, pretended_device, recording
from torchmelinv._utils.precision import outside_inference_mode
from torchmelinv._utils.validation import is_finite

HERE = "outside"  # of the package: this file


@pytest.fixture
def device():
    with pretended_device() as device:
        yield device


@pytest.fixture
def x(device):
    return torch.tensor([[3.0, -1.0], [0.0, 2.0]]).to(device)


def test_tensors_say_that_they_are_on_the_device(device, x):
    made = (torch.zeros(2, device=device), torch.tensor(1.0, device="cuda"), x.cpu().cuda())
    for tensor in (x, *made, x + 1, torch.fft.rfft(x), x.T):
        assert tensor.device == DEVICE
        assert tensor.is_cuda
    assert x.cpu().device.type == "cpu"
    assert torch.equal((x + x).cpu(), 2 * x.cpu())


@pytest.mark.parametrize(
    ("function", "launches"),
    [
        (lambda x: x + 1, 1),
        (lambda x: x.add_(1).mul_(2), 2),
        (lambda x: torch.fft.irfft(torch.fft.rfft(x)), 2),
        (lambda x: torch.addcmul(x, x, x).sum(-1), 2),
        (lambda x: x.T.contiguous(), 1),
        (lambda x: torch.zeros(3, device=x.device), 1),
        (lambda x: torch.tensor([1.0, 2.0]).to(x.device, non_blocking=True), 1),
        (lambda x: x.copy_(torch.zeros(2, 2), non_blocking=True), 1),
        (lambda x: torch.full((2,), 3.0, device=x.device), 1),
        (lambda x: x.fill_(1.0), 1),
        (lambda x: torch.where(x > 0, x, x), 2),
    ],
)
@pytest.mark.parametrize("inference", [False, True])
def test_launches(x, function, launches, inference):
    with torch.inference_mode(inference), recording() as record:
        function(x)
    assert record.launches == launches
    assert record.waits == {}


@pytest.mark.parametrize("non_blocking", [False, True])
def test_copies_from_the_host(x, non_blocking):
    with recording() as record:
        torch.zeros(3).to(x.device, non_blocking=non_blocking)
        x.copy_(torch.zeros(2, 2), non_blocking=non_blocking)
        x.cpu()
        x.copy_(x.clone())
    assert record.copies == {f"(3,), {HERE}": 1, f"(2, 2), {HERE}": 1}


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.view(-1)[1:].reshape(3, 1).expand(3, 4),
        lambda x: x.T.unsqueeze(0).unfold(1, 1, 1).diagonal(),
        lambda x: torch.view_as_complex(x).real,
        lambda x: x[:, :1].transpose_(0, 1).squeeze_(0).unsqueeze(1).view(2),
        lambda x: (x.detach(), x.unbind(0), x.split(1)),
        lambda x: (torch.empty_like(x), x.new_empty(3), torch.empty(2, device=x.device)),
        lambda x: (x.to(x.device), x.cuda(), x.contiguous(), x.float()),
    ],
)
@pytest.mark.parametrize("inference", [False, True])
def test_views_and_allocations_are_free(x, view, inference):
    with torch.inference_mode(inference), recording() as record:
        view(x)
    assert record.operations == {}


def test_a_shape_changes_in_place(x):
    x.transpose_(0, 1).unsqueeze_(0)
    assert x.shape == (1, 2, 2)
    assert (x + 0).tolist() == [[[3.0, 0.0], [-1.0, 2.0]]]
    assert torch.ones(1, 2).t_().shape == (2, 1)


def test_operations_on_the_cpu_are_free(device):
    with recording() as record:
        int(torch.ones(3).sum())
    assert (record.operations, record.waits) == ({}, {})


@pytest.mark.parametrize(
    ("read", "name"),
    [
        (lambda x: x[0, 0].item(), "_local_scalar_dense"),
        (lambda x: float(x.sum()), "_local_scalar_dense"),
        (lambda x: bool((x > 0).all()), "_local_scalar_dense"),
        (lambda x: x.nonzero(), "nonzero"),
        (lambda x: torch.where(x > 0), "nonzero"),
        (lambda x: x[x > 0], "index"),
        (lambda x: x.masked_select(x > 0), "masked_select"),
        (lambda x: x.unique(), "_unique2"),
        (lambda x: torch.equal(x, x), "equal"),
        (lambda x: x.repeat_interleave(x.long().clamp(min=0).flatten()), "repeat_interleave"),
        (lambda x: x.tolist(), "tolist"),
        (lambda x: x.numpy(force=True), "numpy"),
        (lambda x: x.cpu(), "_to_copy"),
        (lambda x: torch.zeros(2, 2).copy_(x), "copy_"),
        (lambda x: x.copy_(torch.zeros(2, 2)), "copy_"),
        (lambda x: torch.zeros(2).to(x.device), "_to_copy"),
        (lambda x: torch.tensor(1.0, device=x.device), "_to_copy"),
        (lambda x: x[torch.tensor([1, 0])], "index"),
    ],
)
@pytest.mark.parametrize("inference", [False, True])
def test_waits(x, read, name, inference):
    with torch.inference_mode(inference), recording() as record:
        if name == "repeat_interleave":
            x = x.flatten()
        read(x)
    assert record.waits == {f"{name}, {HERE}": 1}


def test_values_at_a_mask_are_written_without_waiting_by_where(x):
    with recording() as record:
        x[x < 0] = torch.full((1,), 5.0, device=x.device)
    assert list(record.waits) == [f"index_put_, {HERE}"]
    with recording() as record:
        x[:, :1] = 2.0
        torch.where(x > 0, x, 0)
    assert record.waits == {}


def test_a_wait_is_named_by_its_line_in_the_package(x):
    with recording() as record:
        is_finite(x)
    (place,) = record.waits
    operation, line = place.rsplit(":", 1)
    assert operation == "_local_scalar_dense, _utils/validation.py"
    assert int(line) == is_finite.__code__.co_firstlineno + 2


@pytest.mark.parametrize(
    "mix",
    [
        lambda x: x + torch.ones(2, 2),
        lambda x: torch.cat([x, torch.ones(1, 2)]),
        lambda x: torch.where(torch.ones(2, 2, dtype=torch.bool), x, x),
        lambda x: x.gather(-1, torch.zeros(2, 2, dtype=torch.long)),
        lambda x: torch.ones(2, 2).add_(x),
    ],
)
def test_mixed_devices_raise(x, mix):
    with pytest.raises(RuntimeError, match="expected all tensors on cuda:99"):
        mix(x)


def test_numbers_and_indices_may_be_on_the_cpu(x):
    assert torch.equal((x * torch.tensor(2.0)).cpu(), x.cpu() * 2)
    assert torch.equal(x[torch.tensor([1, 0])].cpu(), x.cpu().flip(0))


def test_a_tensor_has_no_numpy_array(x):
    with pytest.raises(TypeError, match=r"use Tensor\.cpu\(\) first"):
        x.numpy()


def test_gradients_are_those_of_the_cpu(device):
    def loss(x):
        return torch.fft.rfft(x.unfold(-1, 4, 2) * 2).abs().cumsum(-1).square().sum()

    here = torch.randn(3, 10, requires_grad=True)
    there = here.detach().to(device).requires_grad_()
    loss(here).backward()
    with recording() as record:
        loss(there).backward()
    assert there.grad.device == DEVICE
    assert torch.equal(there.grad.cpu(), here.grad)
    assert record.waits == {}


def test_tables_of_caches_are_made_on_the_device(device):
    table = outside_inference_mode(lambda: torch.arange(3.0).to(device))
    with torch.inference_mode(), recording() as record:
        assert table().device == DEVICE
    assert record.launches == 1


def test_a_default_device_is_this_one(device):
    with torch.device("cuda"):
        made = (torch.ones(2), torch.tensor([1.0]), torch.arange(3))
    assert all(each.device == DEVICE for each in made)


def test_records_nest_and_end(x):
    with recording() as outer:
        x + 1
        with recording() as inner:
            x + 1
    x + 1
    assert (outer.launches, inner.launches) == (2, 1)
