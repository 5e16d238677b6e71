"""Constant matrices: equal conventions share their tables, and the tables die with the matrix."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref

import pytest
import torch

from tests.problems import DEFICIENT, TINY, tones
from torchmelinv import functional
from torchmelinv.conventions import MelConvention
from torchmelinv.magnitude import MAGNITUDES
from torchmelinv.magnitude.scaled_filterbank import scaled_filterbank
from torchmelinv.phase.mel_target_tables import mel_target_tables
from torchmelinv.transforms.constant_matrix import (
    ConstantMatrix,
    adjoint_product,
    forward_product,
    pinv_product,
)
from torchmelinv.transforms.mel_filterbank import MelFilterbank, shared_matrix

LIKE = torch.zeros(0)
TABLES = [forward_product, adjoint_product, pinv_product, scaled_filterbank, mel_target_tables]


def live_matrices() -> int:
    gc.collect()
    return sum(type(each) is ConstantMatrix for each in gc.get_objects())


@pytest.mark.parametrize("table", TABLES)
def test_equal_conventions_share_tables(table):
    first, second = MelFilterbank(TINY), MelFilterbank(TINY.replace())
    assert first.table is second.table
    assert table(first.matrix, LIKE) is table(second.matrix, LIKE)
    assert table(first.matrix, LIKE) is not table(MelFilterbank(DEFICIENT).matrix, LIKE)


@pytest.mark.parametrize("table", TABLES)
def test_user_matrices_are_copied_and_share_nothing(table):
    values = torch.rand(5, 9, dtype=torch.float64)
    first, second = MelFilterbank(values), MelFilterbank(values)
    assert first.table is not values
    assert table(first.matrix, LIKE) is not table(second.matrix, LIKE)
    values.zero_()
    assert (first.table > 0).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_tables_die_with_their_matrix(dtype):
    filterbank = MelFilterbank(torch.rand(5, 9))
    for table in TABLES:
        table(filterbank.matrix, LIKE.to(dtype))
    matrix = weakref.ref(filterbank.matrix)
    tables = weakref.ref(mel_target_tables(filterbank.matrix, LIKE.to(dtype)))
    del filterbank
    gc.collect()
    assert matrix() is None
    assert tables() is None


def test_tables_from_inference_mode_work_with_autograd():
    shared_matrix.cache_clear()
    mel = functional.waveform_to_mel(tones(800), TINY)
    shared_matrix.cache_clear()
    with torch.inference_mode():
        functional.mel_to_waveform(mel, TINY, "pinv", n_iter=1)
        functional.mel_to_magnitude(mel, TINY)
    leaf = mel.clone().requires_grad_()
    for magnitude in ("pinv", "entropic"):
        functional.mel_to_waveform(leaf, TINY, magnitude, n_iter=1).square().sum().backward()
    assert leaf.grad.isfinite().all()


def test_copies_share_tables_and_pickles_build_their_own():
    filterbank = MelFilterbank(TINY)
    table = forward_product(filterbank.matrix, LIKE)
    copied, unpickled = copy.deepcopy(filterbank), pickle.loads(pickle.dumps(filterbank))
    assert forward_product(copied.matrix, LIKE) is table
    assert forward_product(unpickled.matrix, LIKE) is not table
    assert torch.equal(unpickled.table, filterbank.table)
    assert (unpickled.rank, unpickled.is_tridiagonal) == (filterbank.rank, True)


def test_threads_get_one_table():
    matrix, tables = MelFilterbank(torch.rand(40, 90)).matrix, []
    barrier = threading.Barrier(4)

    def build() -> None:
        barrier.wait()
        tables.append(pinv_product(matrix, LIKE))

    threads = [threading.Thread(target=build) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tables) == 4
    assert len({id(table) for table in tables}) == 1


def test_functional_calls_with_one_convention_build_one_matrix():
    mel = functional.waveform_to_mel(tones(800), TINY)
    before = live_matrices()
    for magnitude in MAGNITUDES:
        functional.mel_to_magnitude(mel, TINY, magnitude)
    misses = shared_matrix.cache_info().misses
    for _ in range(200):
        functional.mel_to_magnitude(mel, TINY, "pinv")
    assert shared_matrix.cache_info().misses == misses
    assert live_matrices() <= before


def test_matrices_of_many_conventions_are_bounded():
    def convention(f_max: int) -> MelConvention:
        return MelConvention(sample_rate=8000, n_fft=64, hop_length=32, n_mels=8, f_max=f_max)

    shared_matrix.cache_clear()
    mel, before = torch.rand(8, 2), live_matrices()
    for index in range(200):
        functional.mel_to_magnitude(mel, convention(2000 + index), "pinv")
    assert live_matrices() - before <= shared_matrix.cache_info().maxsize == 64


def test_tridiagonal_maps_are_found_without_a_product_of_rows():
    """The product of 20,000 rows takes 3.2 GB."""
    table = torch.zeros(20000, 3, dtype=torch.float64)
    table[:2, 0] = table[5:7, 1] = 1
    assert ConstantMatrix(table).is_tridiagonal
    table[9, 1] = 1
    assert not ConstantMatrix(table).is_tridiagonal
    for dense in (torch.rand(6, 5) < 0.3 for _ in range(50)):
        feeds = dense.double()
        expected = not (feeds @ feeds.T).triu(2).any()
        assert ConstantMatrix(feeds).is_tridiagonal == expected
