"""What the wallet's protocols have in common: documents of others, read within bounds, and addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec

from hansa.core.bounded_json import read_object
from hansa.core.errors import Code, Refused
from hansa.core.forms import unique_fields
from hansa.core.http import JSON, HttpClient, HttpRequest, HttpResponse
from hansa.core.limits import Limits
from hansa.core.web_addresses import web_address

FORM: Final = "application/x-www-form-urlencoded"
ANSWER_SIZE_MAX_BYTES: Final = 1_048_576
LINK_LENGTH_MAX_CHARS: Final = 8192
TIMEOUT_S: Final = 15.0
_PARAMETERS_MAX: Final = 16
_LIMITS: Final = Limits(
    body_depth_max=16,
    body_nodes_max=20_000,
    array_length_max_items=2000,
    string_length_max_chars=ANSWER_SIZE_MAX_BYTES,
)


def refused(what: str) -> Refused:
    """The refusal of what the other side says; a sentence for the holder."""
    return Refused(Code.INVALID, what)


def link_parameters(link: str) -> dict[str, str]:
    """The parameters of a link that opens a wallet, of which none is there twice.

    Raises:
        Refused: `Code.INVALID`.
    """
    if len(link) > LINK_LENGTH_MAX_CHARS or not link.isascii() or not link.isprintable():
        raise refused("The link is too long, or has characters that no link has.")
    try:
        return unique_fields(urlsplit(link).query, _PARAMETERS_MAX)
    except ValueError as error:
        raise refused("The link cannot be read.") from error
    except Refused as error:
        raise refused(f"The link {error.message}.") from error


def origin_of(address: Any) -> str:
    """Scheme, host and port of an address that requests may go to.

    Raises:
        Refused: `Code.INVALID`.
    """
    if not isinstance(address, str) or "#" in address:
        raise refused("An address in it is none of the web.")
    try:
        return web_address(address).origin
    except Refused as error:
        raise refused("An address in it is none of the web.") from error


def json_object(body: bytes, what: str) -> dict[str, Any]:
    """The JSON object that somebody answered.

    Raises:
        Refused: `Code.INVALID`.
    """
    try:
        return read_object(body, _LIMITS)
    except Refused as error:
        raise refused(f"{what} cannot be read.") from error


async def get_json(http: HttpClient, address: str, what: str) -> dict[str, Any]:
    """The JSON object at an address.

    Raises:
        Refused: `Code.INVALID`, or of the client.
        Unavailable: When the other side cannot be reached.
    """
    origin_of(address)
    response = await http.send(HttpRequest("GET", address, {"accept": JSON}, **_bounds()))
    return json_object(_good(response, what).body, what)


async def post_form(
    http: HttpClient, address: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None
) -> HttpResponse:
    """What is answered to a form.

    Raises:
        Refused: of the client.
        Unavailable: When the other side cannot be reached.
    """
    sent = {"content-type": FORM, **(headers or {})}
    body = urlencode(fields).encode("ascii")
    return await http.send(HttpRequest("POST", address, sent, body, **_bounds()))


async def post_json(http: HttpClient, address: str, content: Any, headers: Mapping[str, str]) -> HttpResponse:
    """What is answered to JSON.

    Raises:
        Refused: of the client.
        Unavailable: When the other side cannot be reached.
    """
    body = b"" if content is None else msgspec.json.encode(content)
    return await http.send(HttpRequest("POST", address, {"content-type": JSON, **headers}, body, **_bounds()))


def good_object(response: HttpResponse, what: str) -> dict[str, Any]:
    """The JSON object of an answer with status 200.

    Raises:
        Refused: `Code.INVALID`, with the code of the protocol's error, and none of the other side's words.
    """
    return json_object(_good(response, what).body, what)


def error_code(response: HttpResponse) -> str:
    """The code of an error answer (RFC 6749, section 5.2); empty when it has none."""
    try:
        code = json_object(response.body, "The error").get("error")
    except Refused:
        return ""
    is_code = (
        isinstance(code, str) and 0 < len(code) <= 64 and code.isascii() and code.replace("_", "").isalnum()
    )
    return code if is_code and isinstance(code, str) else ""


def _good(response: HttpResponse, what: str) -> HttpResponse:
    if response.status != 200:
        code = error_code(response)
        reason = f" ({code})" if code else ""
        raise refused(f"{what} is refused by the other side: status {response.status}{reason}.")
    return response


def _bounds() -> dict[str, Any]:
    return {"timeout_s": TIMEOUT_S, "answer_size_max_bytes": ANSWER_SIZE_MAX_BYTES}
