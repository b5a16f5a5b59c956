"""A terminal is sent nothing that it obeys, whoever a text comes from."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.cli.output import Output
from hansa.core.errors import Code, Refused

WRITERS: dict[str, Callable[[Output, str], None]] = {
    "data": lambda output, text: output.data(text),
    "document": lambda output, text: output.document({"name": text}),
    "items": lambda output, text: output.items(text, [text, text]),
    "facts": lambda output, text: output.facts({"name": text}),
    "table": lambda output, text: output.table(["name"], [[text]]),
    "heading": lambda output, text: output.heading(text),
    "message": lambda output, text: output.message(text),
    "error": lambda output, text: output.error(Refused(Code.INVALID, text)),
}
ATTACKS = (
    "\x1b]0;title\x07",
    "\x1b[2J\x1b[31mred",
    "\x9b2J",
    "\u202egnp.exe\u2069",
    "a\rb\x08\x7f\x00",
    "\u2028\u200b\ufeff",
)


class Terminal(io.StringIO):
    """What a terminal is sent."""

    def isatty(self) -> bool:
        return True


class Pipe(io.StringIO):
    """What another program is sent."""


def written(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, writer: str, text: str) -> str:
    with monkeypatch.context() as patched:
        patched.setenv("TERM", "dumb")
        patched.setattr(sys, "stdout", stream)
        patched.setattr(sys, "stderr", stream)
        WRITERS[writer](Output(), text)
    return stream.getvalue()


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("attack", range(len(ATTACKS)))
def test_no_text_says_anything_to_a_terminal(
    monkeypatch: pytest.MonkeyPatch, writer: str, attack: int
) -> None:
    shown = written(monkeypatch, Terminal(), writer, f"Clean {ATTACKS[attack]} air")
    assert "Clean" in shown
    assert all(one.isprintable() or one == "\n" for one in shown), repr(shown)


@given(text=st.text(max_size=30))
def test_a_pipe_is_sent_data_as_it_is(text: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        assert written(patched, Pipe(), "data", text) == f"{text}\n"
