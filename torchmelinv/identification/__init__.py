"""Which convention made a mel: the result classes of `torchmelinv.identify`."""

from torchmelinv.identification.candidate import Candidate
from torchmelinv.identification.identify import Identification

__all__ = ["Candidate", "Identification"]
