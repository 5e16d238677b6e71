"""Training losses as modules: waveforms, mels or spectra in, one number out.

Each item has its own loss, and the result is their mean. With `lengths` (…), the samples of each
waveform of a padded batch (the frames, for spectra), it is the mean weighted by the frames of each
item, Σ T_i L_i / Σ T_i. The padding does not count: L_i is the loss that the item has alone, and an
item too short for a frame has no weight.

Values and gradients are finite in digital silence on either side and for samples up to 1e8, also in
single precision. Losses are computed in float32, or in float64 for float64 inputs, outside
autocast. They have no parameters; their tables follow the input's device. Gradients and second
derivatives are those of plain torch operations. A magnitude of exactly zero passes a zero gradient.
"""

from torchmelinv.losses.consistency import ConsistencyLoss
from torchmelinv.losses.mel import MelLoss
from torchmelinv.losses.smoothness import ModulationSpectrumLoss, SmoothnessLoss
from torchmelinv.losses.spectral import (
    ComplexLoss,
    MultiResolutionSTFTLoss,
    SpectralConvergenceLoss,
)

__all__ = [
    "ComplexLoss",
    "ConsistencyLoss",
    "MelLoss",
    "ModulationSpectrumLoss",
    "MultiResolutionSTFTLoss",
    "SmoothnessLoss",
    "SpectralConvergenceLoss",
]
