"""Who calls `/league/v1`: a member that signed the request, or a client with a bearer token."""

from __future__ import annotations

import asyncio
import hashlib
from http import HTTPStatus

from starlette.requests import Request

from hansa.core.access import OPERATOR, Authenticate, Caller
from hansa.core.errors import Code, Refused
from hansa.core.http import MEMBER_TOKEN_HEADER, AnswerSigner, CallerCheck, headers_of
from hansa.core.thread_work import SMALL_MAX_BYTES


async def signing_member(check: CallerCheck, request: Request, body: bytes) -> str | None:
    """DID of the member that signed the request; None when it is not signed.

    Raises:
        Refused: `Code.UNAUTHENTICATED`, when it carries a signature that does not verify.
    """
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.scope["headers"]}
    query = request.scope["query_string"].decode("latin-1")
    path = request.scope.get("raw_path", b"").decode("latin-1") or request.url.path
    url = f"{path}?{query}" if query else path
    return await check.member(request.method, url, headers, body)


async def answer_headers(
    signer: AnswerSigner | None, request: Request, member: str | None, body: bytes
) -> dict[str, str]:
    """Headers that sign an answer with status 200 to the member that signed the request; none for others."""
    if signer is None or member is None:
        return {}
    if len(body) <= SMALL_MAX_BYTES:
        digest = hashlib.sha256(body).digest()
    else:
        digest = (await asyncio.to_thread(hashlib.sha256, body)).digest()
    return signer.headers(member, request.headers[MEMBER_TOKEN_HEADER], HTTPStatus.OK, digest)


def require_token(authenticate: Authenticate, request: Request) -> Caller:
    """The client behind the request's bearer token, which may read what is private.

    Raises:
        Refused: `Code.UNAUTHENTICATED`, when there is no token or it does not verify; `Code.FORBIDDEN`, when
        none of
            its roles may.
    """
    caller = authenticate(headers_of(request.headers.raw))
    if not caller.is_authenticated:
        raise Refused(Code.UNAUTHENTICATED, "This needs a bearer token.")
    if not caller.may_read:
        raise Refused(Code.FORBIDDEN, "The roles of this token give no right to read this.")
    return caller


def require_operator(authenticate: Authenticate, request: Request) -> None:
    """Refuse whoever is no operator of this marketplace.

    Raises:
        Refused: `Code.UNAUTHENTICATED`, when there is no token or it does not verify; `Code.FORBIDDEN`.
    """
    if OPERATOR not in require_token(authenticate, request).roles:
        raise Refused(Code.FORBIDDEN, "This is for operators of this marketplace.")
