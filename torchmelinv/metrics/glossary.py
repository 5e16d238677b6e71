"""The metrics of pairs by name: labels, directions, what they measure, and what a good number is.

Numbers of "an inversion" are those of `MelInverter` with the mel of a recording of speech
("hifigan_22k", 32 iterations).
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["METRICS", "OPINION_METRICS", "Metric"]


class Metric(NamedTuple):
    """How a metric is labeled and read.

    Args:
        label: Name for tables and figures, with its unit after a comma.
        digits: Digits after the decimal point to show.
        higher_is_better: Whether higher values are better; None if 0 is best.
        description: What is measured, and what a good number is.

    Example:
        >>> import torchmelinv as tmi
        >>> tmi.metrics.METRICS["estoi"].label, tmi.metrics.METRICS["estoi"].digits
        ('ESTOI', 3)
    """

    label: str
    digits: int
    higher_is_better: bool | None = False
    description: str = ""


OPINION_METRICS = {
    "distillmos": Metric(
        "DistillMOS",
        2,
        True,
        "Opinion score of speech that a network predicts, 1 to 5, without a reference. Recordings "
        "have about 4 to 4.7: compare with the score of the reference.",
    ),
    "dnsmos": Metric(
        "DNSMOS",
        2,
        True,
        "Opinion score of noisy speech that a network predicts (P.835, overall), 1 to 5, without a "
        "reference. Clean recordings have about 3 to 3.4.",
    ),
    "plcmos": Metric(
        "PLCMOS",
        2,
        True,
        "Opinion score of speech with lost packets that a network predicts, 1 to 5, without a "
        "reference. Recordings have about 4 to 4.7.",
    ),
}
# The scores of the recordings themselves, `reference_…`, show what is good.
METRICS = {
    "pesq_wb": Metric(
        "PESQ-WB",
        2,
        True,
        "Wide-band PESQ (ITU-T P.862.2) of speech at 16 kHz, 1.04 to 4.64. An inversion has about "
        "4.2, librosa's Griffin-Lim 3.2, a good neural vocoder 3.5 to 4.3; below 2 is poor. For "
        "the same utterance in the same rhythm: free-running synthesis scores near 1.",
    ),
    "estoi": Metric(
        "ESTOI",
        3,
        True,
        "Extended short-time objective intelligibility of speech, about 0 to 1. An inversion has "
        "about 0.97, librosa's Griffin-Lim 0.93; below 0.7 words get lost. Frame by frame.",
    ),
    **{
        f"{prefix}{name}": metric._replace(label=f"{metric.label}{suffix}")
        for name, metric in OPINION_METRICS.items()
        for prefix, suffix in (("", ""), ("reference_", " of reference"))
    },
    "mel_error_db": Metric(
        "mel error, dB",
        1,
        description="‖m̂ − m‖ / ‖m‖ of the linear mels. An inversion has about −41 to the mel that "
        "it was given; −20 is audible; a predicted mel has about −5 to −12 to that of a "
        "recording. Loud frames decide. Frame by frame.",
    ),
    "log_mel_l1": Metric(
        "log-mel L1",
        3,
        description="Mean |ln m̂ − ln m| of magnitude mels above 1e-5, the mel distance of "
        "HiFi-GAN's papers. An inversion has about 0.02, librosa's Griffin-Lim 0.12; vocoders "
        "report 0.1 to 0.4. Quiet frames count as much as loud ones. Frame by frame.",
    ),
    "mel_cepstral_distortion_db": Metric(
        "MCD, dB",
        2,
        description="Mel-cepstral distortion, frame by frame: Kubichek's 10 √2 / ln 10 times the "
        "distance of the cepstra 1 to 24 of the log mel, so without the level. An inversion has "
        "about 0.2, librosa's 1. Papers report 4 to 8 for synthesis, from other cepstra "
        "(WORLD, SPTK, MFCCs), whose numbers differ: compare only numbers of one tool.",
    ),
    "aligned_mel_cepstral_distortion_db": Metric(
        "MCD aligned, dB",
        2,
        description="The same along the path of dynamic time warping, the form that papers of "
        "free-running synthesis report. It forgives any rhythm: read it with the misalignment.",
    ),
    "f0_rmse_cents": Metric(
        "F0 error, cents",
        0,
        description="Root mean square error of the fundamental frequency of one voice, where both "
        "are voiced and within 20 %: read it with the gross pitch errors. 100 cents are a "
        "semitone. An inversion has about 6 to 20. Frame by frame. Papers that leave no frame out "
        "have more.",
    ),
    "aligned_f0_rmse_cents": Metric(
        "F0 error aligned, cents",
        0,
        description="The same along the path of dynamic time warping.",
    ),
    "gross_pitch_error": Metric(
        "gross pitch errors",
        3,
        description="Share of the frames voiced in both whose fundamental frequency is off by more "
        "than 20 % (GPE), 0 to 1: another octave or another intonation. An inversion has 0 to "
        "0.005. Frame by frame.",
    ),
    "aligned_gross_pitch_error": Metric(
        "gross pitch errors aligned",
        3,
        description="The same along the path of dynamic time warping.",
    ),
    "voicing_error": Metric(
        "voicing error",
        3,
        description="Share of frames that are voiced in only one of the two, 0 to 1. An inversion "
        "has about 0.02. Frame by frame.",
    ),
    "aligned_voicing_error": Metric(
        "voicing error aligned",
        3,
        description="The same along the path of dynamic time warping.",
    ),
    "misalignment_ms": Metric(
        "misalignment, ms",
        0,
        description="Median distance in time of the frames that dynamic time warping pairs. 0 for "
        "a vocoder. Above 20, frame by frame metrics compare different moments.",
    ),
    "smoothness": Metric(
        "smoothness",
        2,
        description="How much the generated mel is smoother than mels of sounds, 0 to 1: 0 for a "
        "recording, 0.5 to 1 for regression models without a sampled detail.",
    ),
    "spectral_convergence_db": Metric(
        "spectral convergence, dB",
        1,
        description="‖|X̂| − |X|‖ / ‖|X|‖ of the STFT magnitudes. An inversion has about −10 to "
        "−20 (the mel does not hold the fine structure), one from the true magnitude −30 to −43. "
        "Frame by frame.",
    ),
    "log_spectral_distance_db": Metric(
        "log-spectral distance, dB",
        2,
        description="Root mean square difference of the log spectra in each frame, averaged, above "
        "80 dB below the peak. An inversion has about 4 to 8: noise has another phase and so "
        "another fine structure. Frame by frame.",
    ),
    "target_inconsistency_db": Metric(
        "STFT inconsistency, dB",
        1,
        description="How far the reference's magnitude with the generated phase is from any "
        "signal: Griffin-Lim's residual. −20 and lower is good.",
    ),
    "si_sdr_db": Metric(
        "SI-SDR, dB",
        1,
        True,
        description="Scale-invariant signal-to-distortion ratio of the samples. Only where the "
        "phase is that of the reference, as of codecs and enhancement: above 10 is good. Audio "
        "from a mel has another phase and scores below −10 however close it sounds.",
    ),
    "envelope_correlation": Metric(
        "envelope correlation",
        4,
        True,
        "Correlation of the energies of frames, −1 to 1. An inversion has 0.999. Frame by frame.",
    ),
}
