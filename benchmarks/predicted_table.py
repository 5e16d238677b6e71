"""The tables of `benchmarks/results/predicted.json`: predicted mels, degraded mels, targets."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from benchmarks import quality_tables
from benchmarks.markdown import paragraph, provenance, table
from benchmarks.predicted_bounds import Mean, of_recordings, of_sentences, of_speech
from benchmarks.predicted_material import LABELS, METHODS, MODELS, NATIVE
from benchmarks.predicted_recordings import CONVENTION, MELS, RESTORE
from benchmarks.records import Record
from torchmelinv.metrics import OPINION_METRICS

SHORT = ("librosa", "torchaudio", "cascade", "exact", "default", NATIVE)
OTHERS = {  # score: (heading, format)
    "level_db": ("level, dB", "{:+.1f}"),
    "mel_error_db": ("error to the given mel, dB", "{:.1f}"),
    "restored_mel_error_db": ("to the restored mel, dB", "{:.1f}"),
    "smoothness": ("smoothness", "{:.2f}"),
    "seconds_per_second": ("seconds per second", "{:.3f}"),
}
CAVEAT = (
    "The opinion scores are estimates without a reference, and a flawed restoration can score "
    "higher than a recording"
)


def render(record: Record) -> str:
    """Return the tables of the result page."""
    parts = [_introduction(record)]
    for model in MODELS.values():
        parts += [_heading(record, model), _scores(record, model), _differences(record, model)]
    parts += [_at_level(record), _speech_heading(record), _speech(record), _music(record)]
    return "\n\n".join(parts) + "\n"


def render_short(record: Record) -> str:
    """Return the short table of the guide."""
    columns = [(model, score) for model in MODELS.values() for score in ("distillmos", "dnsmos")]
    head = ["", *(f"{model}, {OPINION_METRICS[score].label}" for model, score in columns)]
    lines = []
    for name in SHORT:
        means = (of_sentences(record, model, score, name).value for model, score in columns)
        label = LABELS.get(name, name)
        lines.append([label, *(f"{mean:.2f}" for mean in means), _seconds(record, name)])
    text = (
        f"Means over {_counts(record)}; higher is better. {CAVEAT}; {_recordings(record)}. The "
        "band statistics of these mels are uncertain by 6 % in slope. Seconds of one processor per "
        f"second of sound. {provenance(record)}."
    )
    return f"{table([*head, 'seconds per second'], lines)}\n\n{paragraph(text)}\n"


def _seconds(record: Record, name: str) -> str:
    scores = [each["scores"][name] for each in record["sentences"].values()]
    if name == NATIVE:
        return ""
    return f"{statistics.fmean(each['seconds_per_second'] for each in scores):.3f}"


def _counts(record: Record) -> str:
    models = [each["model"] for each in record["sentences"].values()]
    return " and ".join(f"{models.count(model)} {model} sentences" for model in MODELS.values())


def _recordings(record: Record) -> str:
    """Return the mean opinion scores of the recordings, as a phrase."""
    n_clips = sum("recording" in clip for clip in record["speech"].values())
    scores = (
        f"{of_recordings(record, name).value:.2f} in {metric.label}"
        for name, metric in OPINION_METRICS.items()
    )
    return f"{n_clips} recordings of speech have {', '.join(scores)}"


def _introduction(record: Record) -> str:
    return paragraph(
        f"{CAVEAT}; {_recordings(record)}. The mels have band statistics that their package does "
        "not contain. They were regressed from the sound of the models' own vocoder, and are "
        "uncertain by 6 % in slope: part of a higher contrast may correct that. The error to the "
        "restored mel is that to the mel which the method itself restored, and the default's for "
        "the vocoder; the level is relative to the vocoder, and the smoothness is the strength of "
        f"`restoration.smoothness` for the mel of the waveform. {provenance(record)}."
    )


def _heading(record: Record, model: str) -> str:
    chosen = [each for each in record["sentences"].values() if each["model"] == model]
    strength, bands, frames = (
        statistics.fmean(each["smoothness"][name] for each in chosen)
        for name in ("strength", "bands", "frames")
    )
    return paragraph(
        f"{model}, means over {len(chosen)} sentences. The smoothness of the given mels has the "
        f"strength {strength:.2f}, as after a Gaussian filter of {bands:.2f} bands and "
        f"{frames:.2f} frames:"
    )


def _scores(record: Record, model: str) -> str:
    lines = []
    for name in METHODS:
        cells = [
            f"{of_sentences(record, model, score, name).value:.2f}" for score in OPINION_METRICS
        ]
        for score, (_, form) in OTHERS.items():
            is_timed = score != "seconds_per_second" or name != NATIVE
            mean = of_sentences(record, model, score, name).value if is_timed else 0.0
            cells.append(form.format(mean) if is_timed else "")
        lines.append([LABELS.get(name, name), *cells])
    labels = [metric.label for metric in OPINION_METRICS.values()]
    return table(["", *labels, *(heading for heading, _ in OTHERS.values())], lines)


def _plus_minus(mean: Mean) -> str:
    return f"{mean.value:+.2f} ± {mean.error:.2f}"


def _differences(record: Record, model: str) -> str:
    """Return paired differences to the exact inversion and to the vocoder."""
    others = {"exact": "exact", NATIVE: "vocoder"}
    columns = [(score, other) for score in OPINION_METRICS for other in others]
    lines = []
    for name in METHODS:
        cells = [
            "" if name == other else _plus_minus(of_sentences(record, model, score, name, other))
            for score, other in columns
        ]
        lines.append([LABELS.get(name, name), *cells])
    labels = (f"{OPINION_METRICS[score].label} − {others[other]}" for score, other in columns)
    return table(["paired difference ± standard error", *labels], lines)


def _at_level(record: Record) -> str:
    pairs = []
    for model in MODELS.values():
        difference = of_sentences(record, model, "dnsmos_at_level", "default", "exact")
        pairs.append(f"{_plus_minus(difference)} for {model}")
    return paragraph(
        "DNSMOS depends on the level. With both at the level of the vocoder, that of the default "
        f"minus that of the exact inversion is {' and '.join(pairs)}."
    )


def _speech_heading(record: Record) -> str:
    clips = record["speech"].values()
    n_scored = sum("recording" in clip for clip in clips)
    return paragraph(
        f"Recordings, `{CONVENTION}`: the exact inversion / the default, means over {len(clips)} "
        f"of speech, DistillMOS over {n_scored} of them. The strength is that of the smoothness, "
        "the level is relative to the recording:"
    )


def _speech(record: Record) -> str:
    columns: Sequence[tuple[str, str, str]] = (
        ("pesq_wb", "PESQ-WB", "{:.2f}"),
        ("estoi", "ESTOI", "{:.3f}"),
        ("distillmos", "DistillMOS", "{:.2f}"),
        ("level_db", "level, dB", "{:+.1f}"),
        ("mel_error_db", "error to the given mel, dB", "{:.1f}"),
        ("recording_mel_error_db", "to the recording's mel, dB", "{:.1f}"),
    )
    lines = []
    for mel in MELS:
        strengths = [clip[mel]["strength"] for clip in record["speech"].values()]
        cells = [f"{statistics.fmean(strengths):.2f}"]
        for score, _, form in columns:
            means = (of_speech(record, mel, score, restore).value for restore in RESTORE)
            cells.append(" / ".join(map(form.format, means)))
        lines.append([mel, *cells])
    return table(["mel", "strength", *(label for _, label, _ in columns)], lines)


def _music(record: Record) -> str:
    values = record["music"].values()
    return paragraph(
        f"The waveforms of {len(values)} clean recordings of music and percussion differ by at "
        f"most {max(values):g}."
    )


SECTIONS: dict[str, tuple[str, Callable[[Record], str]]] = {
    "predicted": ("predicted", render_short),
    "predicted_all": ("predicted", render),
    "predicted_targets": ("predicted", quality_tables.targets),
}
