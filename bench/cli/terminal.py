"""Tables and text for people: folded to the width of a terminal, a line per row everywhere else."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from textwrap import wrap

from rich.cells import cell_len
from rich.console import Console

GAP = "  "
NARROWEST = 8  # characters that a folded column keeps
NUMBER = re.compile(r"([-+]?[\d,.]+(e[-+]?\d+)?|-)?")

Row = Sequence[str]


def console(quiet: bool = False) -> Console:
    """Standard output, colours and live bars only where it is a terminal. Text is printed as it is, without markup.

    quiet: print nothing.
    """
    terminal = sys.stdout is not None and sys.stdout.isatty()  # None where the output was closed
    live = terminal and os.environ.get("TERM") not in ("dumb", "unknown")
    return Console(force_terminal=live, soft_wrap=not live, markup=False, emoji=False, highlight=False, quiet=quiet)


def show_table(screen: Console, columns: Row, rows: Sequence[Row]) -> None:
    """Print rows of text under their columns; columns of numbers stand to the right."""
    show_sections(screen, columns, {"": rows})


def show_sections(screen: Console, columns: Row, sections: Mapping[str, Sequence[Row]]) -> None:
    """Print one table in sections, each under its title. Columns in which no row says anything are left out."""
    filled = [i for i in range(len(columns)) if any(row[i] for section in sections.values() for row in section)]
    kept = filled or range(len(columns))
    columns = [columns[i] for i in kept]
    sections = {title: [[row[i] for i in kept] for row in section] for title, section in sections.items()}
    rows = [row for section in sections.values() for row in section]
    indent = GAP if any(sections) else ""
    found = list(zip(columns, *rows, strict=True))
    widths = [max(map(cell_len, column)) for column in found]
    if screen.is_terminal:
        widths = _narrowed(widths, screen.width - len(indent))
    numeric = [len(rows) > 1 and all(map(NUMBER.fullmatch, column[1:])) for column in found]
    screen.print("\n".join(indent + line for line in _lines(columns, widths, numeric)), style="bold")
    for title, section in sections.items():
        body = [indent + line for row in section for line in _lines(row, widths, numeric)]
        if title:
            screen.print(title, style="bold")
        screen.print("\n".join(body))


def _narrowed(widths: Sequence[int], room: int) -> list[int]:
    """The widths, the widest made narrower until all fit."""
    fitted = list(widths)
    while sum(fitted) + len(GAP) * (len(fitted) - 1) > room and max(fitted) > NARROWEST:
        fitted[fitted.index(max(fitted))] -= 1
    return fitted


def _lines(row: Row, widths: Sequence[int], numeric: Sequence[bool]) -> list[str]:
    """A row as text, over several lines where a cell has to be folded."""
    cells = [
        [text] if cell_len(text) <= width else wrap(text, width, break_on_hyphens=False)
        for text, width in zip(row, widths, strict=True)
    ]
    lines = []
    for position in range(max(map(len, cells))):
        parts = [cell[position] if position < len(cell) else "" for cell in cells]
        padded = [_padded(*part) for part in zip(parts, widths, numeric, strict=True)]
        lines.append(GAP.join(padded).rstrip())
    return lines


def _padded(text: str, width: int, right: bool) -> str:
    space = " " * (width - cell_len(text))
    return space + text if right else text + space
