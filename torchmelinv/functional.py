"""Every pure function by its name, flat. Imports only.

What does not fit (shape, dtype, values, options) is an `InputError` or a `ConventionError` of `torchmelinv.errors`, both of them
ValueErrors.
"""

from torchmelinv.filterbank import band_edges as band_edges
from torchmelinv.filterbank import mel_matrix as mel_matrix
from torchmelinv.invert import mel_to_waveform as mel_to_waveform
from torchmelinv.invert import mfcc_to_waveform as mfcc_to_waveform
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
from torchmelinv.measure.gradient import gradient_norm as gradient_norm
from torchmelinv.measure.metrics import envelope_correlation as envelope_correlation
from torchmelinv.measure.metrics import inconsistency_db as inconsistency_db
from torchmelinv.measure.metrics import log_spectral_distance_db as log_spectral_distance_db
from torchmelinv.measure.metrics import mel_cepstral_distortion_db as mel_cepstral_distortion_db
from torchmelinv.measure.metrics import si_sdr_db as si_sdr_db
from torchmelinv.measure.metrics import target_inconsistency_db as target_inconsistency_db
from torchmelinv.measure.perceptual import estoi as estoi
from torchmelinv.measure.perceptual import pesq_wb as pesq_wb
from torchmelinv.mfcc import mel_to_mfcc as mel_to_mfcc
from torchmelinv.mfcc import mfcc_to_log_mel as mfcc_to_log_mel
from torchmelinv.mfcc import mfcc_to_mel as mfcc_to_mel
from torchmelinv.phase.accelerated_griffin_lim import accelerated_griffin_lim as accelerated_griffin_lim
from torchmelinv.phase.admm import admm as admm
from torchmelinv.phase.griffin_lim import fast_griffin_lim as fast_griffin_lim
from torchmelinv.phase.griffin_lim import griffin_lim as griffin_lim
from torchmelinv.phase.lws import lws as lws
from torchmelinv.phase.raar import raar as raar
from torchmelinv.phase.rtisi import rtisi_la as rtisi_la
from torchmelinv.phase.start import start_angles as start_angles
