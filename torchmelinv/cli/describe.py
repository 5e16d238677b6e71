"""Plain text for terminals: tables, field lists, and conventions in words."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence

from torchmelinv.conventions import MelConvention
from torchmelinv.transforms.mel_filterbank import MelFilterbank

WIDTH = 118  # columns


def terminal_width() -> int | None:
    """Return the columns of the terminal that stdout is; None for a file or a pipe."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def format_table(
    rows: Iterable[Sequence[str]],
    right: Sequence[int] = (),
    width: int | None = None,
    whole: Sequence[int] = (),
) -> list[str]:
    """Return rows as aligned lines.

    Args:
        rows: Cells of each row.
        right: Columns that are aligned to the right.
        width: Length of a line. The widest columns are cut to fit. Default: as long as needed.
        whole: Columns that are never cut.

    Returns:
        The lines.
    """
    rows = [tuple(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    cut = [column for column in range(len(widths)) if column not in whole]
    while width is not None and sum(widths) + 2 * len(widths) - 2 > width:
        widest = max(cut, key=widths.__getitem__)
        if widths[widest] <= 5:
            break
        widths[widest] -= 1

    def format_cell(column: int, cell: str) -> str:
        if len(cell) > widths[column]:
            cell = cell[: widths[column] - 1] + "…"
        return cell.rjust(widths[column]) if column in right else cell.ljust(widths[column])

    return ["  ".join(format_cell(*cell) for cell in enumerate(row)).rstrip() for row in rows]


def format_fields(fields: Iterable[tuple[str, str]]) -> list[str]:
    """Return (heading, text) pairs as lines, with the text wrapped in its own column."""
    fields = list(fields)
    indent = max(len(heading) for heading, _ in fields) + 2
    lines = []
    for heading, text in fields:
        lines += textwrap.wrap(
            text, WIDTH, initial_indent=heading.ljust(indent), subsequent_indent=" " * indent
        ) or [heading]
    return lines


def describe_compression(convention: MelConvention) -> str:
    """Return a short phrase for the power and the compression of a convention."""
    level, power = convention.level, convention.power
    logarithm: str = level.log or "linear"
    if level.multiplier != 1:
        logarithm = f"{level.multiplier:g} {logarithm}"
    if level.floor:
        logarithm += f" above {level.floor:.3g}"
    elif level.offset:
        logarithm += f" of mel + {level.offset:.3g}"
    phrases = [{1.0: "magnitude", 2.0: "power"}.get(power, f"magnitude^{power:g}"), logarithm]
    if level.shift:
        phrases.append(f"{'plus' if level.shift > 0 else 'minus'} {abs(level.shift):g}")
    if level.reference_max:
        phrases.append("minus its peak")
    if level.dynamic_range is not None:
        phrases.append(f"at most {level.dynamic_range:g} below its peak")
    if level.affine is not None:
        shift, scale = level.affine
        phrases.append(f"(x {'−' if shift > 0 else '+'} {abs(shift):.5g}) / {scale:.5g}")
    if level.clip is not None:
        phrases.append(f"clipped to {level.clip[0]:g} … {level.clip[1]:g}")
    if level.band_mean is not None or level.band_scale is not None:
        phrases.append("statistics of each band")
    return ", ".join(phrases)


def describe_filterbank(convention: MelConvention) -> str:
    """Return how many bands are independent, and how many filters are empty."""
    filterbank = MelFilterbank(convention)
    text = f"{filterbank.rank} of {filterbank.n_mels} bands are independent"
    return f"{text}, {filterbank.n_empty} filters are empty" if filterbank.n_empty else text
