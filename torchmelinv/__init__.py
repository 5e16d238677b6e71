"""torchmelinv: mel spectrograms back into magnitudes, waveforms and gradients, as batched PyTorch modules."""

from torchmelinv import functional as functional
from torchmelinv import phases as phases
from torchmelinv.analysis import MelAnalyzer as MelAnalyzer
from torchmelinv.conventions import FrameConvention as FrameConvention
from torchmelinv.conventions import Level as Level
from torchmelinv.conventions import MelConvention as MelConvention
from torchmelinv.conventions import MfccConvention as MfccConvention
from torchmelinv.convert import convert as convert
from torchmelinv.errors import TorchmelinvError as TorchmelinvError
from torchmelinv.filterbank import MelFilterbank as MelFilterbank
from torchmelinv.frame import Frame as Frame
from torchmelinv.inspection import inspect as inspect
from torchmelinv.interchange import from_librosa as from_librosa
from torchmelinv.interchange import from_librosa_mfcc as from_librosa_mfcc
from torchmelinv.interchange import from_torchaudio as from_torchaudio
from torchmelinv.interchange import from_torchaudio_mfcc as from_torchaudio_mfcc
from torchmelinv.interchange import read_convention as read_convention
from torchmelinv.invert import MelInverter as MelInverter
from torchmelinv.invert import mel_to_waveform as mel_to_waveform
from torchmelinv.iterate import Solution as Solution
from torchmelinv.jobs.invert_many import invert_many as invert_many
from torchmelinv.measure import losses as losses
from torchmelinv.ops.backend import backend as backend
from torchmelinv.presets import as_convention as as_convention
from torchmelinv.presets import preset as preset
from torchmelinv.presets import preset_names as preset_names
from torchmelinv.streaming import StreamingInverter as StreamingInverter

__version__ = "0.1.0"
