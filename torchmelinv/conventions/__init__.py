"""Conventions: how a mel spectrogram was made, as frozen, validated records.

`presets` has the conventions of published models by name, `interop` those of librosa's arguments
and torchaudio's transforms, `config_files` those of JSON files.
"""

from torchmelinv.conventions.records import (
    Compression,
    MelConvention,
    MfccConvention,
    STFTConvention,
)

__all__ = ["Compression", "MelConvention", "MfccConvention", "STFTConvention"]
