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

import torchmelinv._utils.interrupts  # noqa: F401  # first: the other imports take seconds
from torchmelinv import (
    callbacks,
    compat,
    conventions,
    corpus,
    functional,
    losses,
    metrics,
    phases,
    plot,
    restoration,
)
from torchmelinv.analysis import MelSpectrogram
from torchmelinv.conventions import (
    Compression,
    MelConvention,
    MfccConvention,
    STFTConvention,
)
from torchmelinv.conventions.config_files import read_convention
from torchmelinv.conventions.interop import (
    from_librosa,
    from_librosa_mfcc,
    from_torchaudio,
    from_torchaudio_mfcc,
)
from torchmelinv.conventions.presets import as_convention, preset, preset_names
from torchmelinv.conversion import Conversion, convert
from torchmelinv.corpus.inversion import invert_many
from torchmelinv.cuda.backend import backend
from torchmelinv.errors import (
    ConventionError,
    DependencyError,
    DiskError,
    EmptyFilterWarning,
    FileError,
    FileWarning,
    InputError,
    MelValueWarning,
    TorchmelinvError,
)
from torchmelinv.functional import mel_to_waveform
from torchmelinv.identification.identify import identify
from torchmelinv.invert import MelInverter
from torchmelinv.solvers.iterate import Solution
from torchmelinv.streaming import StreamingInverter
from torchmelinv.transforms.mel_filterbank import MelFilterbank
from torchmelinv.transforms.stft import STFT

__version__ = "0.1.0"

__all__ = [
    "STFT",
    "Compression",
    "ConventionError",
    "Conversion",
    "DependencyError",
    "DiskError",
    "EmptyFilterWarning",
    "FileError",
    "FileWarning",
    "InputError",
    "MelConvention",
    "MelFilterbank",
    "MelInverter",
    "MelSpectrogram",
    "MelValueWarning",
    "MfccConvention",
    "STFTConvention",
    "Solution",
    "StreamingInverter",
    "TorchmelinvError",
    "__version__",
    "as_convention",
    "backend",
    "callbacks",
    "compat",
    "conventions",
    "convert",
    "corpus",
    "from_librosa",
    "from_librosa_mfcc",
    "from_torchaudio",
    "from_torchaudio_mfcc",
    "functional",
    "identify",
    "invert_many",
    "losses",
    "mel_to_waveform",
    "metrics",
    "phases",
    "plot",
    "preset",
    "preset_names",
    "read_convention",
    "restoration",
]


def __dir__() -> list[str]:
    return __all__
