"""Conventions: how a mel spectrogram was made, as frozen, validated records.

The fields stand in the order in which they act. Nothing in these classes computes on audio:
`transforms.stft`, `transforms.mel_filterbank` and `transforms.compression` do.

`presets` has the conventions of published models by name, `librosa` those of librosa's arguments,
`torchaudio` those of torchaudio's transforms, `config_files` those of JSON files.
"""

from torchmelinv.conventions.compression import Compression
from torchmelinv.conventions.mel_convention import MelConvention
from torchmelinv.conventions.mfcc_convention import MfccConvention
from torchmelinv.conventions.stft_convention import STFTConvention

__all__ = ["Compression", "MelConvention", "MfccConvention", "STFTConvention"]
