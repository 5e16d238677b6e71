"""Every pure function by its name, flat. Imports only."""

from torchmelinv.filterbank import band_edges as band_edges
from torchmelinv.filterbank import mel_matrix as mel_matrix
from torchmelinv.invert import mel_to_waveform as mel_to_waveform
from torchmelinv.joint.mel_consistent import mel_consistent as mel_consistent
from torchmelinv.level import compress as compress
from torchmelinv.level import expand as expand
from torchmelinv.magnitude.entropic import entropic as entropic
from torchmelinv.magnitude.entropic import entropic_solve as entropic_solve
from torchmelinv.magnitude.least_distance import least_distance as least_distance
from torchmelinv.magnitude.least_distance import least_distance_solve as least_distance_solve
from torchmelinv.magnitude.nnls import nnls as nnls
from torchmelinv.magnitude.pinv import pinv as pinv
from torchmelinv.magnitude.transpose import transpose as transpose
from torchmelinv.measure.distance import log_mel_l1 as log_mel_l1
from torchmelinv.measure.distance import mel_error_db as mel_error_db
from torchmelinv.measure.distance import spectral_convergence_db as spectral_convergence_db
from torchmelinv.phase.accelerated_griffin_lim import accelerated_griffin_lim as accelerated_griffin_lim
from torchmelinv.phase.admm import admm as admm
from torchmelinv.phase.griffin_lim import fast_griffin_lim as fast_griffin_lim
from torchmelinv.phase.griffin_lim import griffin_lim as griffin_lim
from torchmelinv.phase.lws import lws as lws
from torchmelinv.phase.raar import raar as raar
from torchmelinv.phase.rtisi import rtisi_la as rtisi_la
from torchmelinv.phase.start import start_angles as start_angles
