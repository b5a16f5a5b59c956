"""Closed forms of JSON: every byte string has at most one reading, and every value exactly one writing.

What several machines judge must be judged alike by all of them, whatever interpreter, library or stack they
have. So it is read here and by nothing else. A form is a shape that is known beforehand: records with the
fields that it names, in the order of RFC 8785, texts of a pattern, whole numbers, lists. It has no
recursion but its own nesting, no number but whole ones, no escape but those of the quotation mark and the
backslash, and no place for anything that it does not name. What `read` accepts, `write` gives back byte for
byte: `form.write(form.read(raw)) == raw`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Protocol

from hansa.core.errors import Code, Refused

_FREE_TEXT: Final = re.compile(rb'"((?:[^"\\\x00-\x1f]|\\["\\])*+)"')
_INTEGER: Final = re.compile(rb"0|[1-9][0-9]{0,15}+")
_ESCAPED: Final = re.compile(r'\\(["\\])')
_NOT_TEXT: Final = re.compile("[\x00-\x1f\ud800-\udfff]")
"""Control characters, and halves of characters, which UTF-8 cannot write."""


class Form(Protocol):
    """A set of values, each with its one byte string."""

    def parse(self, raw: bytes, at: int) -> tuple[Any, int]:
        """The value that begins at a place, and the place behind it.

        Raises:
            Refused: `Code.MALFORMED`.
        """

    def render(self, value: Any) -> bytes:
        """The bytes of a value of this form; any other is an error of the programmer."""

    def describe(self) -> Any:
        """The form as JSON: two forms accept the same bytes if they have the same description."""


class Text:
    """A text of printable ASCII that matches a pattern, and needs no escape."""

    def __init__(self, pattern: str) -> None:
        """`pattern`: matches the whole text; neither quotation mark, backslash nor anything beyond ASCII."""
        self._pattern = pattern
        self._quoted = re.compile(b'"(' + pattern.encode("ascii") + b')"')
        self._whole = re.compile(pattern, re.ASCII)

    def parse(self, raw: bytes, at: int) -> tuple[str, int]:
        """See `Form.parse`."""
        match = self._quoted.match(raw, at)
        if match is None:
            raise _malformed(at)
        return match[1].decode("ascii"), match.end()

    def render(self, value: str) -> bytes:
        """See `Form.render`."""
        assert self._whole.fullmatch(value), "the text has the form's pattern"
        return b'"' + value.encode("ascii") + b'"'

    def describe(self) -> Any:
        """See `Form.describe`."""
        return {"text": self._pattern}


class FreeText:
    """Any text without control characters, up to a length."""

    def __init__(self, length_max_chars: int) -> None:
        self._length_max_chars = length_max_chars

    def parse(self, raw: bytes, at: int) -> tuple[str, int]:
        """See `Form.parse`."""
        match = _FREE_TEXT.match(raw, at)
        if match is None or match.end() - at > 4 * self._length_max_chars + 2:
            raise _malformed(at)
        try:
            text = match[1].decode("utf-8")
        except UnicodeDecodeError:
            raise _malformed(at) from None
        if "\\" in text:
            text = _ESCAPED.sub(r"\1", text)
        if len(text) > self._length_max_chars:
            raise _malformed(at)
        return text, match.end()

    def render(self, value: str) -> bytes:
        """See `Form.render`."""
        assert self.holds(value), "the text is short and has no control character"
        return b'"' + value.replace("\\", "\\\\").replace('"', '\\"').encode("utf-8") + b'"'

    def holds(self, value: str) -> bool:
        """Whether a text is of this form."""
        return len(value) <= self._length_max_chars and _NOT_TEXT.search(value) is None

    def describe(self) -> Any:
        """See `Form.describe`."""
        return {"free_text": self._length_max_chars}


class Integer:
    """A whole number of 0 to a highest value, below 2^53."""

    def __init__(self, least: int, most: int) -> None:
        assert 0 <= least <= most < 2**53, "every reader of JSON can carry the number"
        self._least, self._most = least, most

    def parse(self, raw: bytes, at: int) -> tuple[int, int]:
        """See `Form.parse`."""
        match = _INTEGER.match(raw, at)
        if match is None:
            raise _malformed(at)
        value = int(match[0])
        if not self._least <= value <= self._most:
            raise _malformed(at)
        return value, match.end()

    def render(self, value: int) -> bytes:
        """See `Form.render`."""
        assert self._least <= value <= self._most, "the number is within its bounds"
        return b"%d" % value

    def describe(self) -> Any:
        """See `Form.describe`."""
        return {"integer": [self._least, self._most]}


class ListOf:
    """A list of one to so many values of a form; a list without any is left out by whom it belongs to."""

    def __init__(self, item: Form, count_max: int) -> None:
        self._item, self._count_max = item, count_max

    def parse(self, raw: bytes, at: int) -> tuple[tuple[Any, ...], int]:
        """See `Form.parse`."""
        if raw[at : at + 1] != b"[":
            raise _malformed(at)
        values: list[Any] = []
        while len(values) < self._count_max:
            value, at = self._item.parse(raw, at + 1)
            values.append(value)
            following = raw[at : at + 1]
            if following == b"]":
                return tuple(values), at + 1
            if following != b",":
                break
        raise _malformed(at)

    def render(self, value: tuple[Any, ...]) -> bytes:
        """See `Form.render`."""
        assert 0 < len(value) <= self._count_max, "the list is neither empty nor too long"
        return b"[" + b",".join(map(self._item.render, value)) + b"]"

    def describe(self) -> Any:
        """See `Form.describe`."""
        return {"list": self._item.describe(), "count_max": self._count_max}


class OneOf:
    """A value of one of several forms, no two of which share a byte string.

    Records are told apart by a field that holds another fixed text in each of them.
    """

    def __init__(self, forms: Mapping[str, Form], name_of: Callable[[Any], str]) -> None:
        """`forms`: by name; `name_of`: the name of a value's form."""
        self._forms = dict(forms)
        self._name_of = name_of

    def parse(self, raw: bytes, at: int) -> tuple[Any, int]:
        """See `Form.parse`."""
        for form in self._forms.values():
            try:
                return form.parse(raw, at)
            except Refused:
                continue
        raise _malformed(at)

    def render(self, value: Any) -> bytes:
        """See `Form.render`."""
        return self._forms[self._name_of(value)].render(value)

    def describe(self) -> Any:
        """See `Form.describe`."""
        return {"one_of": [[name, form.describe()] for name, form in sorted(self._forms.items())]}


class WithBytes:
    """The values of another form, each together with its bytes: `(bytes, value)`."""

    def __init__(self, form: Form) -> None:
        self._form = form

    def parse(self, raw: bytes, at: int) -> tuple[tuple[bytes, Any], int]:
        """See `Form.parse`."""
        value, end = self._form.parse(raw, at)
        return (raw[at:end], value), end

    def render(self, value: tuple[bytes, Any]) -> bytes:
        """The bytes, which were rendered before."""
        return value[0]

    def describe(self) -> Any:
        """See `Form.describe`."""
        return self._form.describe()


class Record:
    """An object with fields in the order of their names, of which optional ones may be left out."""

    def __init__(
        self,
        required: Mapping[str, Form],
        optional: Mapping[str, Form] | None = None,
        *,
        is_empty: bool = False,
    ) -> None:
        """`is_empty`: a record of which every field is left out is of this form too."""
        optional = optional or {}
        assert not required.keys() & optional.keys(), "a field is one of both"
        assert all(name.isascii() for name in (*required, *optional)), (
            "names of ASCII have one order everywhere"
        )
        self._is_empty = is_empty
        self._fields = tuple(
            (name, b'"%b":' % name.encode(), form, name in required)
            for name, form in sorted({**required, **optional}.items())
        )

    def misnamed(self, names: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Which fields of the record some names lack, and which of the names are no field of it; in order."""
        known = {name: is_required for name, _, _, is_required in self._fields}
        lacking = tuple(name for name, is_required in known.items() if is_required and name not in names)
        return lacking, tuple(sorted(set(names).difference(known)))

    def parse(self, raw: bytes, at: int) -> tuple[dict[str, Any], int]:
        """See `Form.parse`."""
        if raw[at : at + 1] != b"{":
            raise _malformed(at)
        at += 1
        values: dict[str, Any] = {}
        for name, token, form, is_required in self._fields:
            begin = at
            if values:
                if raw[at : at + 1] != b",":
                    if is_required:
                        raise _malformed(at)
                    continue
                begin += 1
            if raw.startswith(token, begin):
                values[name], at = form.parse(raw, begin + len(token))
            elif is_required:
                raise _malformed(begin)
        if raw[at : at + 1] != b"}" or not (values or self._is_empty):
            raise _malformed(at)
        return values, at + 1

    def render(self, value: Mapping[str, Any]) -> bytes:
        """See `Form.render`."""
        parts = [
            token + form.render(value[name])
            for name, token, form, is_required in self._fields
            if name in value
        ]
        assert len(parts) == len(value), "the form names every field"
        assert all(name in value for name, _, _, is_required in self._fields if is_required), (
            "none is missing"
        )
        return b"{" + b",".join(parts) + b"}"

    def describe(self) -> Any:
        """See `Form.describe`."""
        fields = [[name, form.describe(), is_required] for name, _, form, is_required in self._fields]
        return {"record": fields, "is_empty": self._is_empty}

    def read(self, raw: bytes) -> dict[str, Any]:
        """The fields of a record that is all of these bytes.

        Raises:
            Refused: `Code.MALFORMED`, whatever is wrong; its message says at which byte.
        """
        values, end = self.parse(raw, 0)
        if end != len(raw):
            raise _malformed(end)
        return values

    def write(self, value: Mapping[str, Any]) -> bytes:
        """The bytes of a record."""
        return self.render(value)


def _malformed(at: int) -> Refused:
    return Refused(Code.MALFORMED, f"The bytes are not in their one canonical form, at byte {at}.")
