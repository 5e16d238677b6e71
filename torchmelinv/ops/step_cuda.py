"""One step of fast or accelerated Griffin-Lim by CUDA kernels: the fused one where it serves, else the one for any size.

    y = t + α (t − t⁻),    d = t + β (t − t⁻),    x = ISTFT(P(STFT(y))),    t⁺ = d + γ (x − d)

with t and t⁻ the last two signals, momentum α, inertia β, relaxation γ (Griffin and Lim 1984; Perraudin, Balazs and Søndergaard
2013 for the momentum; Nenov, Nguyen and Balazs 2023 for all three). P imposes a magnitude (a tensor) or pulls towards a mel
(a `MelPull`). The meaning of it in plain torch is `PhaseProblem.advance`.
"""

from __future__ import annotations

from torch import Tensor

from torchmelinv.ops import fused_cuda, nvrtc, pairs_cuda
from torchmelinv.ops.layout import Layout, MelPull


def why_not(layout: Layout, wanted: Tensor | MelPull | str) -> str | None:
    """What keeps the kernels from it, if anything does; as `wanted` a reason known before may come."""
    if isinstance(wanted, str):
        return wanted
    values = wanted.values if isinstance(wanted, MelPull) else wanted
    return nvrtc.why_not(values) or pairs_cuda.why_not(layout, wanted if isinstance(wanted, MelPull) else None)


def step(
    layout: Layout,
    wanted: Tensor | MelPull,
    signal: Tensor,
    previous: Tensor | None = None,
    momentum: float = 0.0,
    inertia: float = 0.0,
    relaxation: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """x and t⁺, (items, n_samples) each, from t and t⁻; without t⁻, y and d are t."""
    by = pairs_cuda if fused_cuda.why_not(layout, wanted) else fused_cuda
    return by.step(layout, wanted, signal, previous, momentum, inertia, relaxation)


def project_vjp(layout: Layout, magnitude: Tensor, signal: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients by y and by the magnitude, from that by x."""
    by = pairs_cuda if fused_cuda.why_not(layout) else fused_cuda
    return by.project_vjp(layout, magnitude, signal, None, 0.0, grad)
