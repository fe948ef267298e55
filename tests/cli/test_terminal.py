"""Tables that a person can read at 80 columns and a program in a pipe."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bench.cli import terminal
from bench.cli.terminal import show_sections, show_table

COLUMNS = ("name", "what it is", "count")
ROWS: list[tuple[str, ...]] = [("gaussian(sigma=0.1)", "a b c " * 20, "1,000"), ("x" * 90, "", "2")]


def shown(width: int | None, columns: tuple[str, ...], sections: dict[str, list[tuple[str, ...]]]) -> list[str]:
    """The lines on a terminal of some width, or in a pipe."""
    live = width is not None
    out = io.StringIO()
    console = Console(
        file=out, width=width or 80, force_terminal=live, soft_wrap=not live, color_system=None,
        markup=False, emoji=False, highlight=False,
    )  # fmt: skip
    show_sections(console, columns, sections)
    return out.getvalue().splitlines()


def test_in_a_pipe_every_row_is_a_line() -> None:
    assert shown(None, COLUMNS, {"": ROWS}) == [
        "name" + " " * 88 + "what it is" + " " * 112 + "count",
        "gaussian(sigma=0.1)" + " " * 73 + "a b c " * 20 + "  1,000",
        "x" * 90 + " " * 128 + "2",
    ]


def test_a_terminal_that_is_wide_enough_shows_the_same() -> None:
    assert shown(300, COLUMNS, {"": ROWS}) == shown(None, COLUMNS, {"": ROWS})


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_on_a_terminal_rows_are_folded_and_nothing_is_lost(width: int) -> None:
    lines = shown(width, COLUMNS, {"": ROWS})
    assert max(map(len, lines)) <= width
    assert "".join(lines).replace(" ", "").count("x") == 90
    assert " ".join(lines).split().count("a") == 20
    assert any(line.endswith("1,000") for line in lines)


def test_folded_cells_stay_in_their_columns() -> None:
    assert shown(
        40, COLUMNS, {"": [("gaussian(sigma=0.1)", "white noise on every element", "1,000"), ("b", "c", "2")]}
    ) == [
        "name             what it is        count",
        "gaussian(sigma=  white noise on    1,000",
        "0.1)             every element",
        "b                c                     2",
    ]


@given(
    st.lists(st.tuples(*[st.text("abc ,()=.", max_size=70)] * 4), min_size=1, max_size=4), st.integers(50, 120)
)  # fmt: skip
def test_no_table_is_wider_than_the_terminal(rows: list[tuple[str, ...]], width: int) -> None:
    lines = shown(width, ("a", "b", "c", "d"), {"": rows})
    assert max(map(len, lines)) <= width
    letters = sorted("".join("".join(row) for row in rows).replace(" ", ""))
    assert sorted("".join(lines[1:]).replace(" ", "")) == letters


def test_sections_share_their_columns() -> None:
    lines = shown(80, ("model", "dB"), {"gaussian": [("conv", "1.5"), ("identity", "20")], "masking": [("conv", "3")]})
    assert lines == [
        "  model      dB",
        "gaussian",
        "  conv      1.5",
        "  identity   20",
        "masking",
        "  conv        3",
    ]


def test_columns_that_say_nothing_are_left_out() -> None:
    assert shown(None, ("a", "b", "c"), {"x": [("1", "", "2")], "y": [("3", "", "")]}) == [
        "  a  c", "x", "  1  2", "y", "  3"
    ]  # fmt: skip
    assert shown(None, ("a", "b"), {}) == ["a  b"]
    assert shown(None, ("a", "b"), {"": [("", "")]}) == ["a  b", ""]


def test_what_looks_like_markup_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    screen = terminal.console()
    show_table(screen, ("name",), [("[bold]x[/bold] :cat: [/]",)])
    screen.print("[red]y[/red] :dog:")
    assert capsys.readouterr().out == "name\n[bold]x[/bold] :cat: [/]\n[red]y[/red] :dog:\n"


@pytest.mark.parametrize("variable", ["COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE", "TERM"])
def test_a_pipe_stays_a_pipe(
    variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, "1" if variable != "COLUMNS" else "20")
    screen = terminal.console()
    screen.print("word " * 30, style="bold")
    assert capsys.readouterr().out == "word " * 30 + "\n" and not screen.is_terminal


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert terminal.console().is_terminal
    monkeypatch.setenv("TERM", "dumb")
    assert not terminal.console().is_terminal
