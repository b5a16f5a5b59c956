"""What wallets post: a presentation, or why there is none (OpenID4VP 1.0, sections 8.2, 8.3 and 8.5).

    direct_post.jwt   response=<JWE of {"vp_token": {…}, "state": "…"}>
    direct_post       vp_token=<JSON>&state=…
    either            error=access_denied&state=…

A form has no name twice, and an answer in another mode than the one that was demanded is refused. Anybody who
saw a request can post an error to it: one is noted, and the request stays open.
"""

from __future__ import annotations

import hmac
import re
from typing import Any, Final

import msgspec

from hansa.core.bounded_json import read_json
from hansa.core.errors import Refused
from hansa.core.forms import unique_fields
from hansa.core.limits import Limits
from hansa.core.policies import ResponseMode
from hansa.identity.presentations.encryption import ENCRYPTED_SIZE_MAX_BYTES, ResponseKey
from hansa.identity.presentations.query import malformed_response

RESPONSE_SIZE_MAX_BYTES: Final = ENCRYPTED_SIZE_MAX_BYTES + 4096
"""Of the form; a text in it may need three times its room when it is encoded."""
FIELDS_MAX: Final = 16
_ERROR: Final = re.compile("[A-Za-z0-9_]{1,64}", re.ASCII)
_LIMITS: Final = Limits(
    body_depth_max=8,
    body_nodes_max=256,
    array_length_max_items=64,
    string_length_max_chars=ENCRYPTED_SIZE_MAX_BYTES,
)


class WalletError(msgspec.Struct, frozen=True):
    """A wallet presents nothing."""

    code: str
    """As `access_denied`: of RFC 6749 or OpenID4VP."""


class WalletResponse(msgspec.Struct, frozen=True):
    """What a wallet presents, *unverified*."""

    vp_token: Any
    """By credential query."""


def read_response(
    body: bytes, mode: ResponseMode, key: ResponseKey, state: str
) -> WalletResponse | WalletError:
    """What a wallet answers to a request.

    Args:
        body: The form that it posts.
        mode: Which one was demanded.
        key: To which the answer has to be encrypted.
        state: Of the request.

    Raises:
        Refused: `Code.PRESENTATION_MALFORMED`.
    """
    form = _form(body)
    if "error" in form:
        return _error(form, state)
    expected = {"response"} if mode == "direct_post.jwt" else {"vp_token", "state"}
    if not expected <= form.keys() or {"response", "vp_token"} <= form.keys():
        raise malformed_response(f"a form of the mode {mode} has {' and '.join(sorted(expected))}")
    if mode == "direct_post":
        _check_state(form["state"], state)
        return WalletResponse(_json(form["vp_token"].encode()))
    content = _json(key.opened(form["response"]))
    if not isinstance(content, dict):
        raise malformed_response("the answer is no JSON object")
    _check_state(content.get("state"), state)
    if "error" in content:
        return _error(content, state)
    return WalletResponse(content.get("vp_token"))


def _form(body: bytes) -> dict[str, str]:
    if len(body) > RESPONSE_SIZE_MAX_BYTES:
        raise malformed_response(f"the form has more than {RESPONSE_SIZE_MAX_BYTES} bytes")
    try:
        return unique_fields(body, FIELDS_MAX)
    except Refused as error:
        raise malformed_response(f"the form {error.message}") from error


def _error(fields: dict[str, Any], state: str) -> WalletError:
    if "vp_token" in fields or "response" in fields:
        raise malformed_response("there is an error and a presentation in one answer")
    _check_state(fields.get("state"), state)
    code = fields["error"]
    if not isinstance(code, str) or _ERROR.fullmatch(code) is None:
        raise malformed_response("`error` is no code of an error")
    return WalletError(code)


def _check_state(value: Any, state: str) -> None:
    is_text = isinstance(value, str) and value.isascii()
    if not is_text or not hmac.compare_digest(value, state):
        raise malformed_response("`state` is not that of the request")


def _json(raw: bytes) -> Any:
    try:
        return read_json(raw, _LIMITS)
    except Refused as error:
        raise malformed_response(f"the answer cannot be read: {error.message}") from error
