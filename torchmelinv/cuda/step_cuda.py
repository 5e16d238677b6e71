"""One step of accelerated Griffin-Lim by CUDA kernels: the fused kernel, or those for any size.

    y = t + α (t − t⁻),    d = t + β (t − t⁻),    x = ISTFT(P(STFT(y))),    t⁺ = d + γ (x − d),

where t and t⁻ are the last two signals. P imposes a magnitude (a tensor) or updates the spectrum
toward a mel (a `MelUpdate`). All three factors are those of Nenov, Nguyen and Balazs (2023); β = α
and γ = 1 give fast Griffin-Lim (Perraudin, Balazs and Søndergaard 2013), and α = 0 that of Griffin
and Lim (1984).

The reference in plain torch is `AcceleratedGriffinLim.step` in `phase/accelerated_griffin_lim.py`,
and for `project_vjp` the backward of `PhaseProblem.consistent_projection` in `phase/problem.py`.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from torchmelinv.cuda import fused_cuda, nvrtc, pairs_cuda
from torchmelinv.cuda.layout import Layout, MelUpdate

TargetName = Literal["magnitude", "mel"]


def unsupported_reason(layout: Layout, target: Tensor | MelUpdate) -> str | None:
    """Return why no kernel can compute a step, or None if one can."""
    values = target.values if isinstance(target, MelUpdate) else target
    return nvrtc.unsupported_reason(values) or pairs_cuda.unsupported_reason(layout, target)


def kind_of(target: TargetName, fused_n_fft: int | None) -> str:
    """Return a step as verdicts name it; a fused kernel is compiled for one n_fft."""
    if fused_n_fft is None:
        return f"{target} step by pairs of frames"
    return f"fused {target} step, n_fft {fused_n_fft}"


def kind(layout: Layout, target: Tensor | MelUpdate) -> str:
    """Return the step with this layout and target as verdicts name it."""
    fused = fused_cuda.unsupported_reason(layout, target) is None
    name: TargetName = "mel" if isinstance(target, MelUpdate) else "magnitude"
    return kind_of(name, layout.n_fft if fused else None)


def step(
    layout: Layout,
    target: Tensor | MelUpdate,
    signal: Tensor,
    previous: Tensor | None = None,
    alpha: float = 0.0,
    beta: float = 0.0,
    gamma: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Return x and t⁺ from t and t⁻, (items, n_samples) each; without t⁻, y and d are t."""
    family = pairs_cuda if fused_cuda.unsupported_reason(layout, target) else fused_cuda
    return family.step(layout, target, signal, previous, alpha, beta, gamma)


def project_vjp(
    layout: Layout, magnitude: Tensor, signal: Tensor, grad: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the gradients with respect to y and to the magnitude, from the gradient of x."""
    family = pairs_cuda if fused_cuda.unsupported_reason(layout) else fused_cuda
    return family.project_vjp(layout, magnitude, signal, None, 0.0, grad)
