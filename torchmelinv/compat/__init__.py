"""Other libraries' names and arguments for what is done here, so that one import line moves a code base.

    from torchmelinv.compat.torchaudio import GriffinLim, InverseMelScale, MelScale, MelSpectrogram
    from torchmelinv.compat.librosa import griffinlim, mel_to_audio, mel_to_stft, mfcc_to_audio, nnls

The signatures are theirs, the bodies this project's: same shapes, defaults and kinds of error, other and mostly closer answers.
Neither library is imported, nor needed.
"""

from torchmelinv.compat import librosa as librosa
from torchmelinv.compat import torchaudio as torchaudio
