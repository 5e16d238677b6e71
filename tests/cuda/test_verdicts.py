"""Verdicts about kernels: their key, and which files count."""

from __future__ import annotations

import functools
import json
from types import SimpleNamespace
from unittest import mock

import pytest
import torch

from torchmelinv.cuda import nvrtc, verdicts
from torchmelinv.cuda.verdicts import (
    RIGHT_AND_FASTER,
    driver_version,
    read_verdict,
    verdict_path,
    verified_operations,
    write_verdict,
)

MACHINE = {"device": "a", "driver": "1"}
FOUND = {"a step": RIGHT_AND_FASTER, "another step": "wrong"}


@pytest.fixture(autouse=True)
def device(monkeypatch, tmp_path):
    """One CUDA device in use; returns its machine, which a test may change."""
    of = dict(MACHINE)
    monkeypatch.setenv("TORCHMELINV_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(verdicts, "_device_count", lambda: 1)
    monkeypatch.setattr(verdicts, "machine", lambda _: of)
    verdicts.forget()
    yield of
    verdicts.forget()


def test_only_kernels_that_are_right_and_faster_are_verified():
    assert verified_operations() == set()
    path = write_verdict(MACHINE, FOUND, [{"time": float("nan")}])
    assert verified_operations() == set(), "a process reads once"
    verdicts.forget()
    assert verified_operations() == {"a step"}
    assert read_verdict(MACHINE)["rows"] == [{"time": None}]
    path.unlink()
    assert verified_operations() == {"a step"}


@pytest.mark.parametrize("field", MACHINE)
def test_a_verdict_about_another_machine_counts_as_none(device, field):
    path = write_verdict(MACHINE, FOUND, [])
    device[field] = "other"
    assert verified_operations() == set()
    path.rename(verdict_path(device))
    verdicts.forget()
    assert verified_operations() == set()


def shortened(path):
    path.write_bytes(path.read_bytes()[:-1])


def changed(path):
    path.write_bytes(path.read_bytes().replace(b"wrong", b"right"))


def empty(path):
    path.write_bytes(b"")


def another_format(path):
    text = json.dumps([1]).encode()
    path.write_bytes(verdicts.hashlib.sha256(text).hexdigest().encode() + b"\n" + text)


def writable_by_group(path):
    path.chmod(0o660)


def folder_writable_by_all(path):
    path.parent.chmod(0o777)


def link(path):
    path.rename(path.with_name("other"))
    path.symlink_to("other")


@pytest.mark.parametrize(
    "damage",
    [shortened, changed, empty, another_format, writable_by_group, folder_writable_by_all, link],
)
def test_a_damaged_or_foreign_file_counts_as_none(damage):
    damage(write_verdict(MACHINE, FOUND, []))
    assert read_verdict(MACHINE) is None
    assert verified_operations() == set()


def test_every_device_in_use_must_agree(monkeypatch):
    found = [frozenset({"a", "b"}), frozenset({"b", "c"})]
    monkeypatch.setattr(verdicts, "_device_count", lambda: 2)
    monkeypatch.setattr(verdicts, "_verified_on", functools.cache(found.__getitem__))
    assert verified_operations() == {"b"}


def test_without_a_home_there_is_no_file(monkeypatch):
    monkeypatch.setattr(verdicts, "cache_folder", lambda: None)
    assert read_verdict(MACHINE) is None
    with pytest.raises(OSError, match="no home"):
        write_verdict(MACHINE, FOUND, [])


def test_a_process_without_a_device_reads_nothing(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(verdicts, "read_verdict", lambda _: pytest.fail("read"))
    assert torch.cuda.is_initialized() or verified_operations() == set()


def test_the_machine_is_device_driver_torch_and_kernels(monkeypatch):
    monkeypatch.undo()
    properties = SimpleNamespace(name="NVIDIA H200", major=9, minor=0)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    of = verdicts.machine(0)
    assert (of["device"], of["capability"]) == ("NVIDIA H200", "9.0")
    assert of["torch"] == torch.__version__
    with mock.patch.object(nvrtc, "sources", return_value={"fused.cu": "changed"}):
        verdicts.kernel_hash.cache_clear()
        assert verdicts.machine(0)["kernels"] != of["kernels"]
    verdicts.kernel_hash.cache_clear()


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5", "550.54.15"),
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.10  Rel", "570.86.10"),
    ],
)
def test_the_driver_has_a_version(tmp_path, line, version):
    (tmp_path / "version").write_text(f"{line}\nGCC version: 12.3.0 \n")
    assert driver_version(tmp_path / "version").startswith(version)
    assert version not in driver_version(tmp_path / "missing")
