"""The head of a request, read strictly (RFC 9112, sections 2 to 5; RFC 9110, section 5).

There is one reader of heads. What it accepts has one meaning: every line ends with CR LF, a field has one
name, one colon and no folded line, fields that frame a message or name a caller occur once, and the length of
the body is stated once. Anything else is refused, because a proxy in front may have read it differently.

A head has two parts that are read separately: the request line, which differs from request to request, and
the field lines, which clients repeat. A connection retains the last field lines with what they mean, so that
equal ones are compared and not read again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from hansa.core.errors import Code
from hansa.core.http import has_credentials

HEAD_END: Final = b"\r\n\r\n"
FIELDS_MAX: Final = 100
FIELD_NAME_MAX_BYTES: Final = 256
METHOD_MAX_BYTES: Final = 32
BEGINNING_MAX_BYTES: Final = 2048
"""So much of an incomplete head is checked; what follows is, once it is complete."""
METHODS: Final = {
    name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
}
"""Those that need no decoding."""

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_VALUE: Final = rb"[^\x00-\x08\x0a-\x1f\x7f]"
FIELD: Final = re.compile(rb"(%b{1,%d}):(%b*+)\r\n" % (_TOKEN, FIELD_NAME_MAX_BYTES, _VALUE))
REQUEST_LINE: Final = re.compile(
    rb"([A-Z][A-Z-]{0,%d}) (/[!-\"$-~]*+) HTTP/1\.([01])" % (METHOD_MAX_BYTES - 1)
)
"""The usual form: method, target in origin form, minor version."""
_ANY_REQUEST_LINE: Final = re.compile(
    rb"([A-Z][A-Z-]{0,%d}) ([!-\"$-~]++) HTTP/(\d)\.(\d)" % (METHOD_MAX_BYTES - 1)
)
_ABSOLUTE: Final = re.compile(rb"(?i:https?)://([^/?@]+)(/.*|\?.*)?")
_HOST: Final = re.compile(rb"[A-Za-z0-9.\-_~!$&'()*+,;=%\[\]:]*")
_BAD_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_NOT_IN_HEAD: Final = bytes({*range(0x20), 0x7F} - set(b"\t\r\n"))
"""Characters that no head has."""
_RETURN: Final = b"\r"

SINGLETONS: Final = frozenset(
    {
        b"host", b"authorization", b"dpop", b"member-token", b"content-length", b"transfer-encoding", b"content-type",
        b"content-range", b"expect", b"if-modified-since", b"if-range", b"if-unmodified-since",
        b"last-event-id", b"max-forwards", b"origin", b"proxy-authorization", b"range",
        b"access-control-request-method",
    }
)  # fmt: skip
"""Fields that have one value: a second one is refused. All others are lists, and are joined."""
LENGTH_MAX_DIGITS: Final = 15
LENGTH: Final = re.compile(rb"(?:^|\n)[Cc]ontent-[Ll]ength: (\d{1,%d})\r" % LENGTH_MAX_DIGITS)
"""What differs from request to request in the field lines of a client that sends bodies."""


class RefusedRequest(Exception):
    """A request that is not HTTP as it is read here; it is answered, and the connection ends.

    Args:
        status: Of the response.
        code: Of the error body.
        message: For the person who has to mend the client.
    """

    def __init__(self, status: int, code: Code, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Fields(msgspec.Struct, frozen=True):
    """What the field lines of a head say."""

    pairs: tuple[tuple[bytes, bytes], ...] = ()
    """Names in lower case, each once, in the order of their first occurrence."""
    host: bytes | None = None
    content_length: int = 0
    is_chunked: bool = False
    is_last: bool = False
    """Whether the client ends the connection after this request (`Connection: close`)."""
    expects_continue: bool = False
    has_caller: bool = False
    """Whether they say who calls: a token, the cookie of a session, or `Member-Token`."""
    is_all: bool = False
    """Whether the head is all of the request, and the connection goes on after it."""
    by_name: Mapping[bytes, bytes] = msgspec.field(default_factory=dict)
    """The same as `pairs`."""

    def with_length(self, digits: bytes) -> Fields:
        """The same with another `Content-Length`; it has one.

        Args:
            digits: At most `LENGTH_MAX_DIGITS`.
        """
        pairs = tuple([pair if pair[0] != b"content-length" else (pair[0], digits) for pair in self.pairs])
        return Fields(
            *(pairs, self.host, int(digits), self.is_chunked),
            *(self.is_last, self.expects_continue, self.has_caller),
            by_name=dict(pairs),
        )

    def get(self, name: bytes) -> bytes | None:
        """The value of a field, by its name in lower case."""
        return self.by_name.get(name)


NO_FIELDS: Final = Fields()


class RequestLine(NamedTuple):
    """The first line of a request."""

    method: bytes
    target: bytes
    """In origin form, or `*`."""
    minor_version: bytes


def malformed(message: str) -> RefusedRequest:
    """A refusal with status 400."""
    return RefusedRequest(400, Code.MALFORMED, message)


def check_beginning(data: bytes | bytearray, start: int) -> None:
    """Refuse the beginning of an incomplete head at once when nothing that may follow can make it right.

    Args:
        data: Everything of the head that has arrived.
        start: Where the part begins that was not checked before; a line end may span both.

    Raises:
        RefusedRequest: 400.
    """
    if start and data[start - 1 : start] == _RETURN:
        start -= 1
    part = data[start:BEGINNING_MAX_BYTES]  # counted, since a regular expression takes eight times as long
    line_ends = part.count(b"\r\n")
    if (
        len(part.translate(None, _NOT_IN_HEAD)) != len(part)
        or part.count(b"\n") != line_ends
        or part.count(b"\r") - part.endswith(_RETURN) != line_ends
    ):
        raise malformed("A head has no control characters, and its lines end with CR LF.")
    if data[:1] > b"Z" or b"\r" < data[:1] < b"A" or (data[:1] == b"\r" and data[2:3] > b"Z"):
        raise malformed("A request begins with a method.")


def read_request_line(line: bytes, fields: Fields) -> RequestLine:
    """The first line in its unusual forms, for which `REQUEST_LINE` does not match.

    Raises:
        RefusedRequest: 400 or 505.
    """
    match = _ANY_REQUEST_LINE.fullmatch(line)
    if match is None:
        raise malformed("The first line is not: method, space, target, space, HTTP/1.1.")
    method, target, major, minor = match.groups()
    if major != b"1" or minor > b"1":
        raise RefusedRequest(505, Code.MALFORMED, "This server speaks HTTP/1.1.")
    if target == b"*" and method == b"OPTIONS":
        return RequestLine(method, target, minor)
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None or method == b"CONNECT":
        raise malformed("The target is a path, with or without a query.")
    authority, rest = absolute.groups()
    if fields.host is None or authority.lower() != fields.host.lower():
        raise malformed("The target names another host than the Host header.")
    rest = rest or b"/"
    return RequestLine(method, rest if rest.startswith(b"/") else b"/" + rest, minor)


def check_path(path: bytes) -> None:
    """Refuse a path with a percent sign that encodes nothing.

    Raises:
        RefusedRequest: 400.
    """
    if _BAD_ESCAPE.search(path):
        raise malformed("A percent sign in a path is followed by two hexadecimal digits.")


def read_fields(block: bytes) -> Fields:
    """What field lines say; each of them ends with CR LF.

    Raises:
        RefusedRequest: 400, 417, 431 or 501.
    """
    values: dict[bytes, bytes] = {}
    position, count, size = 0, 0, len(block)
    while position < size:
        match = FIELD.match(block, position)
        if match is None:
            raise malformed("A header line is not: name, colon, value. Lines are not folded.")
        position = match.end()
        count += 1
        if count > FIELDS_MAX:
            raise RefusedRequest(431, Code.TOO_LARGE, f"A head has at most {FIELDS_MAX} lines.")
        name, value = match[1].lower(), match[2].strip(b" \t")
        if name not in values:
            values[name] = value
        elif name in SINGLETONS:
            raise malformed(f"The header {name.decode()} occurs twice.")
        else:
            values[name] += (b"; " if name == b"cookie" else b", ") + value
    assert position == size, "every byte of the block belongs to a line"
    return _fields_of(values)


def _fields_of(values: dict[bytes, bytes]) -> Fields:
    host = values.get(b"host")
    if host is not None and not _HOST.fullmatch(host):
        raise malformed("The Host header is not a host with an optional port.")
    connection = values.get(b"connection", b"").lower()
    length, coding = values.get(b"content-length"), values.get(b"transfer-encoding")
    expected = values.get(b"expect", b"").lower()
    if expected not in {b"", b"100-continue"}:
        raise RefusedRequest(417, Code.MALFORMED, "The only expectation that is met is 100-continue.")
    if length is not None and not (length.isdigit() and len(length) <= LENGTH_MAX_DIGITS):
        raise malformed("Content-Length is not one whole number.")
    if coding is not None:
        if length is not None:
            raise malformed("A request has Content-Length or Transfer-Encoding, not both.")
        if coding.lower() != b"chunked":
            raise RefusedRequest(501, Code.NOT_IMPLEMENTED, "The only transfer coding here is chunked.")
    return Fields(
        pairs=tuple(values.items()),
        host=host,
        content_length=int(length or b"0"),
        is_chunked=coding is not None,
        is_last=b"close" in (token.strip() for token in connection.split(b",")),
        expects_continue=bool(expected),
        has_caller=b"member-token" in values or has_credentials(values),
        is_all=host is not None and not (length or coding or expected or connection),
        by_name=values,
    )
