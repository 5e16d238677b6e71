"""The public names of the package, which `torchmelinv/__init__.py` loads at their first use."""

from torchmelinv import (
    __version__,
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
from torchmelinv.conventions.librosa import from_librosa, from_librosa_mfcc
from torchmelinv.conventions.presets import as_convention, preset, preset_names
from torchmelinv.conventions.torchaudio import from_torchaudio, from_torchaudio_mfcc
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
