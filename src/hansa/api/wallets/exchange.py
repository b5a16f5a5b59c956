"""What wallets request: the signed request of a login, and that their answer is taken (OpenID4VP 1.0).

Wallets read errors as OAuth has them (RFC 6749, section 5.2): one code, and our own sentence. Nothing here
has to do with cookies: a request or an answer is known by its address and by what is in it.
"""

from __future__ import annotations

from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from hansa.api.bodies import typed_body
from hansa.api.wallets.forms import FORM, form_of
from hansa.core.errors import Code, HansaError, Refused, Unavailable
from hansa.core.http import NO_STORE
from hansa.identity.presentations import REQUEST_MEDIA_TYPE, RESPONSE_SIZE_MAX_BYTES, WalletLogins

WALLET_METADATA_MAX_BYTES: Final = 65_536
_NAME_LENGTH_MAX_CHARS: Final = 64


class ExchangeApi:
    """Handlers for wallets.

    Args:
        logins: Of this marketplace.
    """

    def __init__(self, logins: WalletLogins) -> None:
        self._logins = logins

    async def request(self, request: Request) -> Response:
        """`GET /oid4vp/request/{id}`."""
        return self._request_object(request, None, "")

    async def request_with_nonce(self, request: Request) -> Response:
        """`POST /oid4vp/request/{id}`: with a nonce of the wallet (`request_uri_method=post`)."""
        try:
            form = await form_of(request, WALLET_METADATA_MAX_BYTES)
        except Refused as error:
            return oauth_error(error, "invalid_request")
        return self._request_object(request, form.get("wallet_nonce"), form.get("wallet_metadata", ""))

    def _request_object(self, request: Request, wallet_nonce: str | None, metadata: str) -> Response:
        try:
            signed = self._logins.request_object(_name(request), wallet_nonce, metadata)
        except Refused as error:
            code = "invalid_request_uri" if error.code is Code.NOT_FOUND else "invalid_request"
            return oauth_error(error, code)
        return Response(signed, media_type=REQUEST_MEDIA_TYPE, headers=NO_STORE)

    async def response(self, request: Request) -> Response:
        """`POST /oid4vp/response/{id}`."""
        try:
            body = await typed_body(request, FORM, RESPONSE_SIZE_MAX_BYTES)
            redirect_uri = await self._logins.respond(_name(request), body)
        except HansaError as error:
            return oauth_error(error, "invalid_request")
        content = {"redirect_uri": redirect_uri} if redirect_uri else {}
        return Response(msgspec.json.encode(content), media_type="application/json", headers=NO_STORE)


def oauth_error(error: HansaError, code: str) -> Response:
    """An error as wallets read it.

    Args:
        error: Of which the sentence is shown; that of another error than a refusal is not.
        code: Of OAuth.
    """
    headers = dict(NO_STORE)
    status, sentence = _STATUS.get(error.code, 400), error.message
    if isinstance(error, Unavailable):
        status = 429 if error.code is Code.OVERLOADED else 503
        code, sentence = "temporarily_unavailable", "This cannot be verified now: try again."
        headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    content = {"error": code, "error_description": _description(sentence)}
    return Response(msgspec.json.encode(content), status, headers, media_type="application/json")


_STATUS: Final = {Code.NOT_FOUND: 404, Code.TOO_LARGE: 413, Code.UNSUPPORTED_MEDIA_TYPE: 415}


def _description(sentence: str) -> str:
    r"""A sentence in the characters of RFC 6749: visible ASCII without `"` and `\`."""
    return "".join(one if " " <= one <= "~" and one not in '"\\' else "'" for one in sentence)


def _name(request: Request) -> str:
    return str(request.path_params["id"])[:_NAME_LENGTH_MAX_CHARS]
