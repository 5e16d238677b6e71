"""GPU case of the launches and waits of calls, as the profiler counts them."""

from __future__ import annotations

import os
from unittest import mock

import torch

from benchmarks import launches_calls
from benchmarks.gpu_case import Case, Implementation, measured_case
from benchmarks.gpu_clock import Clock
from benchmarks.gpu_inputs import MAIN, Scale
from benchmarks.records import Record
from torchmelinv.cuda import graphs
from torchmelinv.cuda.backend import backend


def launches_and_waits(scale: Scale, clock: Clock) -> Case:
    """Count those of the calls that `benchmarks.launches` counts without a device.

    As there, the calls run plain torch, and none is captured as a CUDA graph.
    """
    n_samples = scale.n_frames and scale.n_frames * MAIN.hop_length
    calls = launches_calls.calls(clock.device, n_samples or launches_calls.N_SAMPLES)

    def measure(implementation: Implementation) -> Record:
        call = calls[implementation.name]
        without_graphs = mock.patch.dict(os.environ, {graphs.ENVIRONMENT_VARIABLE: "0"})
        with without_graphs, backend("reference"), torch.inference_mode():
            call()  # makes tables
            return {"launches": clock.launches(call)}

    title = "launches and waits of calls for one item of 10 s"
    return measured_case(title, MAIN, 1, scale.n_iter, dict.fromkeys(calls, ()), measure)
