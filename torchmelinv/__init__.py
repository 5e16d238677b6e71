"""Mel spectrograms back into magnitudes, waveforms and gradients, as batched PyTorch modules.

Where to find what:

- How a mel was made: `preset` (published models), `from_torchaudio` and `from_librosa`,
  `MelConvention`; `identify` for a mel of unknown origin.
- Waveform to mel and back: `MelSpectrogram`, `MelInverter`; as functions in `functional`.
- A mel frame by frame: `StreamingInverter`. Many files: `invert_many`, or the command line
  ``torchmelinv``.
- Methods with other hyper-parameters: `phases`; your own: `phases.PhaseMethod`.
- Smoothed mels, as networks predict them: `restoration`, ``MelInverter(…, restore=…)``.
- MFCCs: `functional.mel_to_mfcc`, `functional.mfcc_to_waveform`.
- Between models: `convert`.
- Training and evaluation: `losses`, `metrics`, `callbacks`, `plot`.
- Code that uses librosa or torchaudio: `compat`.
- Errors: all derive from `TorchmelinvError`.
"""

import importlib
from typing import TYPE_CHECKING, Any

import torchmelinv._utils.interrupts  # noqa: F401  # first: the other imports take seconds

__version__ = "0.1.0"

if TYPE_CHECKING:
    from torchmelinv._api import *  # noqa: F403
    from torchmelinv._api import __all__ as __all__
else:

    def __getattr__(name: str) -> Any:
        """Load the public names at the first use of one: `torchmelinv --help` needs no torch."""
        if name.startswith("_") and name != "__all__":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        api = importlib.import_module("torchmelinv._api")
        globals().update({public: getattr(api, public) for public in ("__all__", *api.__all__)})
        if name not in globals():
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return globals()[name]

    def __dir__() -> list[str]:
        return __getattr__("__all__")
