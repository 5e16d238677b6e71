"""The tables of `results/quality.json`: short ones for the README, all of them for the benchmarks' own page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from benchmarks.common import Record, markdown, where
from benchmarks.mels import BLUR, MELS, NOISE, in_words
from benchmarks.rows import CASCADE, ITERATIONS, JOINT, STARTS, VARIANTS, Row, row
from benchmarks.scores import METRICS, mean
from benchmarks.targets import OURS, speech_mean, true_mean, true_rows

LABELS = {
    CASCADE: "`fast_griffin_lim`",
    "entropic+raar": "`raar`",
    "true+fast_griffin_lim": "true magnitude, `fast_griffin_lim`",
    "true+raar": "true magnitude, `raar`",
    "mel_consistent:fast": "`MelConsistent(GriffinLim(0.99))`",
    "mel_consistent:admm": "`MelConsistent(Admm())`",
    "mel_consistent:1 sweep": "`MelConsistent(sweeps=1)`",
    "mel_consistent:3 sweeps": "`MelConsistent(sweeps=3)`",
    "mel_consistent:half": "`MelConsistent(agreement=0.5)`",
    "joint:palm": "published form, iPALM",
    "joint:admm": "published form, ADMM",
}
SHORT = {"pesq_wb": "PESQ-WB", "estoi": "ESTOI", "mel_error_db": "mel error, dB"}
Means = dict[str, float]


def _label(name: str, versions: Record) -> str:
    if name in versions:
        return f"{name} {versions[name]}"
    if name == "mel_consistent":
        return "**`mel_consistent`**"
    return LABELS.get(name, name if name == "default" else f"`{name.removeprefix('entropic+')}`")


def _cells(scores: Means, metrics: Iterable[str] = METRICS) -> list[str]:
    return [METRICS[name][1].format(scores[name]) if name in scores else "" for name in metrics]


def _pair(scores: Means, metrics: Iterable[str]) -> str:
    return " / ".join(_cells(scores, metrics)) if scores else "absent"


def _heads(metrics: Iterable[str] = METRICS) -> list[str]:
    return [METRICS[name][0] for name in metrics]


def _keys(section: Record) -> list[Row]:
    return [row(key) for key in dict.fromkeys(key for clip in section.values() for key in clip)]


def _music_mean(section: Record, which: Row) -> Means:
    found = [clip[which.key] for name, clip in section.items() if not name.startswith("speech_") and which.key in clip]
    return mean(found) if found else {}


def _clean(section: Record, few: bool) -> list[Row]:
    """The finalists on clean mels, method by method; `few`: those with 32 and 100 iterations."""
    found = [each for each in _keys(section) if each.mel == "clean" and (not few or each.n_iter in (32, 100))]
    return [each for each in found if not (few and each.method == "default")]


def conventions_short(record: Record) -> str:
    """One line a method, one column a convention."""
    finalists, versions = record["finalists"], record["versions"]
    lines = dict.fromkeys(each for section in finalists.values() for each in _clean(section, few=True))
    rows = []
    for each in lines:
        cells = [_pair(speech_mean(section, each), ("pesq_wb", "mel_error_db")) for section in finalists.values()]
        rows.append([_label(each.method, versions), each.start, str(each.n_iter), *cells])
    return markdown(["PESQ-WB / mel error in dB", "start", "iterations", *(f"`{name}`" for name in finalists)], rows)


def conventions(record: Record) -> str:
    """A table for each convention, speech."""
    parts = []
    for name, section in record["finalists"].items():
        rows = []
        for each in _clean(section, few=False):
            label = _label(each.method, record["versions"])
            rows.append([label, each.start, str(each.n_iter), *_cells(speech_mean(section, each))])
        parts += [f"{in_words(name)}:", markdown(["", "start", "iterations", *_heads()], rows)]
        parts += [f"{peer} is absent: {' '.join(why.split())}" for peer, why in record["absent"].get(name, {}).items()]
    return "\n\n".join(parts)


def music(record: Record) -> str:
    """One line a method, one column a convention: distances on music and percussion."""
    finalists = record["finalists"]
    lines = dict.fromkeys(each for section in finalists.values() for each in _clean(section, few=True))
    metrics = ("mel_error_db", "spectral_convergence_db")
    rows = []
    for each in lines:
        cells = [_pair(_music_mean(section, each), metrics) for section in finalists.values()]
        rows.append([_label(each.method, record["versions"]), each.start, str(each.n_iter), *cells])
    head = "mel error / spectral convergence, dB"
    return markdown([head, "start", "iterations", *(f"`{name}`" for name in finalists)], rows)


def degraded(record: Record, counts: Sequence[int] = (32, 100)) -> str:
    """Blurred and noisy mels, one column a convention."""
    finalists = record["finalists"]
    lines = dict.fromkeys(each for section in finalists.values() for each in _keys(section) if each.mel in MELS[1:])
    rows = []
    for each in lines:
        if each.n_iter in counts or each.method == "librosa":
            cells = [_pair(speech_mean(section, each), ("pesq_wb", "estoi")) for section in finalists.values()]
            rows.append([each.mel, _label(each.method, record["versions"]), each.start, str(each.n_iter), *cells])
    rows.sort(key=lambda line: MELS.index(line[0]))
    return markdown(["mel", "PESQ-WB / ESTOI", "start", "iterations", *(f"`{name}`" for name in finalists)], rows)


def iterations(record: Record) -> str:
    """The joint method with 0 to 300 iterations."""
    section = record["finalists"]["hifigan_22k"]
    rows = [[str(n_iter), *_cells(speech_mean(section, Row("clean", *OURS, n_iter)))] for n_iter in ITERATIONS]
    return markdown(["iterations", *_heads()], rows)


def _grid(keys: Sequence[Row], cell: Callable[[Row], str], head: str) -> str:
    """One line a method and a start, one column a number of iterations."""
    counts = sorted({each.n_iter for each in keys})
    lines = sorted(dict.fromkeys((each.method, each.start) for each in keys), key=lambda line: STARTS.index(line[1]))
    lines.sort(key=lambda line: [each.method for each in keys].index(line[0]))
    rows = []
    for method, start in lines:
        here = {each.n_iter: each for each in keys if (each.method, each.start) == (method, start)}
        label = LABELS.get(method, f"`{method.rsplit('+', 1)[-1]}`") if ":" in method else f"`{method.rsplit('+', 1)[-1]}`"
        rows.append([label, start, *(cell(here[count]) if count in here else "" for count in counts)])
    return markdown([head, "start", *(str(count) for count in counts)], rows)


def field(record: Record) -> str:
    """Phases and starts: PESQ and mel error, and what an iteration takes; then the magnitudes."""
    section = record["field"]
    others = (*VARIANTS, *JOINT)
    keys = [each for each in _keys(section) if each.method == "mel_consistent" or each.method.startswith("entropic+")]
    cell = lambda each: _pair(speech_mean(section, each), ("pesq_wb", "mel_error_db"))  # noqa: E731
    parts = [_grid(keys, cell, "PESQ-WB / mel error in dB after")]
    timed = [each for each in keys if each.start == "random" and each.n_iter]
    parts.append(_grid(timed, lambda each: _pair(speech_mean(section, each), ("seconds",)), "seconds of"))
    magnitudes = [each for each in _keys(section) if each.method.endswith("+fast_griffin_lim") and each.n_iter == 32]
    magnitudes = [each for each in magnitudes if each.start == "random" and each.method not in others]
    rows = [[f"`{each.method.split('+')[0]}`", *_cells(speech_mean(section, each))] for each in magnitudes]
    parts.append(markdown(["`magnitude=`, `fast_griffin_lim` 32 from random phases", *_heads()], rows))
    return "\n\n".join(parts)


def joint(record: Record) -> str:
    """Variants of joint inversion, with what the spectrum and ESTOI say, too."""
    section = record["field"]
    names = ("mel_consistent", *VARIANTS, *JOINT)
    keys = [each for each in _keys(section) if each.method in names and each.start in ("random", "pghi") and each.n_iter >= 32]
    cell = lambda each: _pair(speech_mean(section, each), ("pesq_wb", "estoi", "mel_error_db", "seconds"))  # noqa: E731
    return _grid(keys, cell, "PESQ-WB / ESTOI / mel error in dB / seconds")


def truth(record: Record) -> str:
    """Spectral convergence at the true magnitude, a table for each overlap."""
    parts = []
    for name, section in record["truth"].items():
        cell = lambda each, section=section: METRICS["spectral_convergence_db"][1].format(true_mean(section, each))  # noqa: E731
        table = _grid(true_rows(section), cell, "spectral convergence in dB after")
        parts += [f"Frames of {in_words(name)}, {len(section)} recordings:", table]
    return "\n\n".join(parts)


def targets(record: Record) -> str:
    """What was to be reached."""
    rows = []
    for target in record["targets"]:
        limit = f"≥ {target['at_least']:g}" if "at_least" in target else f"≤ {target['at_most']:g}"
        rows.append([target["what"], f"{target['value']:.3f}", limit, "reached" if target["reached"] else "**missed**"])
    return markdown(["", "measured", "wanted", ""], rows)


def _how(record: Record) -> str:
    section = next(iter(record["finalists"].values()))
    speech = sum(name.startswith("speech_") for name in section)
    return (
        f"Speech: means over {speech} recordings, the first {record['clip_seconds']:g} s of each; of the times, medians. "
        f"Seconds are the processor time of one call on one thread. "
        "Higher is better for PESQ and ESTOI, lower for the others. "
    )


def render_short(record: Record) -> str:
    """For the README: conventions, degraded mels, iterations."""
    parts = [
        conventions_short(record),
        f"Mels as a model may predict them, blurred (a Gaussian of {BLUR:g} bands and frames, in the logarithm of magnitude) or "
        f"noisy ({NOISE:g} nepers):",
        degraded(record, (100,)),
        "`mel_consistent` from `pghi`, `hifigan_22k`, clean mels:",
        iterations(record),
        f"{_how(record)}More in [benchmarks/README.md](benchmarks/README.md); `benchmarks/results/quality.json` has every clip.\n"
        f"{where(record)}.",
    ]
    return "\n\n".join(parts) + "\n"


def render_surroundings(record: Record) -> str:
    """How it was measured, and what `default` is."""
    section = next(iter(record["finalists"].values()))
    default = next(each for each in _keys(section) if each.method == "default")
    in_field = sum(name.startswith("speech_") for name in record["field"])
    return (
        f"{_how(record)}`default` is `MelInverter(convention)` as it comes ({default.n_iter} iterations from `{default.start}`). "
        f"Phases, starts and other forms of joint inversion: {in_field} recordings of speech, spread over the list. The "
        f"whole took {record['minutes']:g} minutes.\n{where(record)}.\n"
    )


SECTIONS: dict[str, Callable[[Record], str]] = {
    "quality": render_short,
    "quality_surroundings": render_surroundings,
    **{f"quality_{each.__name__}": (lambda record, each=each: each(record) + "\n") for each in (
        targets, conventions, music, degraded, field, joint, iterations, truth,
    )},
}  # fmt: skip
