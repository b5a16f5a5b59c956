"""Claims that a client names one by one (parameter `claims`, OpenID Connect Core, section 5.5).

A claim is told where it is asked for, in the ID token or by `userinfo`, when a scope opens it that is
registered for the client, whether the request names that scope or not. What is asked for and not known is
left out, essential or not. Two demands have to be met, or nothing comes of the request: who logs in (`sub`),
and how (`acr`, when it is essential).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hansa.core.bounded_json import read_object
from hansa.core.errors import Refused
from hansa.core.limits import Limits
from hansa.identity.provider.clients.records import ClientRecord
from hansa.identity.provider.oauth_errors import OAuthRefused, invalid_request
from hansa.identity.provider.tokens.id_tokens import ACR, SCOPE_OF_CLAIM

CLAIMS_MAX_CHARS: Final = 8192

_LIMITS: Final = Limits(body_depth_max=5, body_nodes_max=300, string_length_max_chars=512)


class RequestedClaims(msgspec.Struct, frozen=True):
    """What a request names."""

    userinfo: tuple[str, ...] = ()
    """That `userinfo` is to tell, as far as the client may know it."""
    id_token: tuple[str, ...] = ()
    """That the ID token is to tell, likewise."""
    subject: str = ""
    """Who has to log in; empty: anybody."""


def read_requested_claims(text: str, client: ClientRecord) -> RequestedClaims:
    """What a client names; nothing, when it names nothing.

    Raises:
        OAuthRefused: `invalid_request`, or `unmet_authentication_requirements`.
    """
    if not text:
        return RequestedClaims()
    try:
        if len(text) > CLAIMS_MAX_CHARS:
            raise invalid_request(f"claims has at most {CLAIMS_MAX_CHARS} characters.")
        content = read_object(text.encode("utf-8", "surrogatepass"), _LIMITS)
    except OAuthRefused:
        raise
    except Refused as error:
        raise invalid_request("claims is no JSON object, or too large a one.") from error
    userinfo, id_token = _members(content, "userinfo"), _members(content, "id_token")
    _check_acr(id_token.get("acr"))
    subjects = {subject for one in (userinfo, id_token) if (subject := _subject(one.get("sub")))}
    if len(subjects) > 1:
        raise invalid_request("claims demands two different subjects.")
    return RequestedClaims(_known(userinfo, client), _known(id_token, client), "".join(subjects))


def _members(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    members = content.get(name)
    if members is None:
        return {}
    if not isinstance(members, dict) or not all(
        one is None or isinstance(one, dict) for one in members.values()
    ):
        raise invalid_request("In claims, userinfo and id_token are objects of objects or null.")
    return members


def _known(members: Mapping[str, Any], client: ClientRecord) -> tuple[str, ...]:
    """The claims that there are and that the client may know, in an order of our own."""
    return tuple(
        name for name, scopes in SCOPE_OF_CLAIM.items() if name in members and scopes & {*client.scopes}
    )


def _check_acr(demand: Mapping[str, Any] | None) -> None:
    if not demand or demand.get("essential") is not True:
        return
    values = demand.get("values", [demand["value"]] if "value" in demand else [ACR])
    if not isinstance(values, list) or ACR not in values:
        raise OAuthRefused(
            "unmet_authentication_requirements", "Nobody logs in here in one of the ways of that acr."
        )


def _subject(demand: Mapping[str, Any] | None) -> str:
    subject = "" if demand is None else demand.get("value", "")
    if not isinstance(subject, str):
        raise invalid_request("In claims, the value of sub is no text.")
    return subject
