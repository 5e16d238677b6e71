"""Drop-in replacements: the names and arguments of other libraries, computed by torchmelinv::

    from torchmelinv.compat.torchaudio import GriffinLim, InverseMelScale, MelScale, MelSpectrogram
    from torchmelinv.compat.torchaudio import Spectrogram, griffinlim
    from torchmelinv.compat.librosa import griffinlim, mel_to_audio, mel_to_stft, nnls
    from torchmelinv.compat.librosa import mfcc_to_audio, mfcc_to_mel

Changing the import is enough. Signatures, shapes, defaults and kinds of errors are those of the
original; the results of the inverses are mostly closer to the mel. Neither library is imported or
needed.
"""

from torchmelinv.compat import librosa, torchaudio

__all__ = ["librosa", "torchaudio"]
