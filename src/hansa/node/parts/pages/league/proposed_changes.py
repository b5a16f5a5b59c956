"""What the form of a proposal describes, as a change of the league."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from hansa.core.bounded_json import UNREADABLE
from hansa.core.canonical import canonical_json
from hansa.core.errors import Code, Refused
from hansa.core.governance.changes import (
    CHANGE_FORMS,
    HEIGHT_MAX,
    MemberPut,
    MemberStatusChange,
    ParamSet,
    Suspension,
    ValidatorPower,
    VotedStatus,
)
from hansa.core.governance.forms import LeagueChange
from hansa.core.governance.possession import verify_candidacy
from hansa.core.members import POWER_MAX
from hansa.core.trust.certificates import certificate_text, certificates_of_pem
from hansa.portal.operators.league.proposals import DesiredChange, ProposalKind
from hansa.pubsub.league.state import LeagueState

HOUR_S: Final = 3600
HOURS_MAX: Final = 366 * 24
NUMBER_MAX: Final = 2**53 - 1
STATUSES: Final[Mapping[ProposalKind, VotedStatus]] = MappingProxyType(
    {"suspend": "suspended", "activate": "active", "remove": "removed"}
)
"""Of a member, that a vote on one of these kinds gives it."""


def change_of(desired: DesiredChange, state: LeagueState, league: str) -> LeagueChange:
    """The change that a form describes.

    Raises:
        Refused: `Code.INVALID`, saying what is wrong.
    """
    if desired.kind == "admit":
        return _admission(desired, league)
    if desired.kind == "param":
        return _parameter(desired, state)
    if desired.kind in _MAKERS:
        return _MAKERS[desired.kind](desired)
    if state.member(desired.member) is None:
        raise Refused(Code.INVALID, "Choose a member of the league.")
    if desired.kind == "certificate":
        return _formed("certificate.revoke", {"did": desired.member, "kid": desired.text})
    if desired.kind == "power":
        return ValidatorPower(desired.member, _number(desired.number, "Voting power", POWER_MAX))
    if desired.kind == "suspend" and desired.number:
        hours = _number(desired.number, "The number of hours", HOURS_MAX)
        return Suspension(desired.member, max(hours, 1) * HOUR_S)
    return MemberStatusChange(desired.member, STATUSES[desired.kind])


def _admission(desired: DesiredChange, league: str) -> LeagueChange:
    text = desired.text
    if text.startswith("{"):
        text = str(_json(text).get("candidacy", ""))
    try:
        verify_candidacy(text, league)
    except Refused as error:
        raise Refused(
            Code.INVALID, f"What is pasted is no candidacy for this league: {error.message}"
        ) from error
    return MemberPut(text, _number(desired.number or "0", "Voting power", POWER_MAX))


def _parameter(desired: DesiredChange, state: LeagueState) -> LeagueChange:
    if desired.parameter not in {one.name for one in msgspec.structs.fields(type(state.params))}:
        raise Refused(Code.INVALID, "Choose a parameter of the league.")
    return ParamSet(desired.parameter, _number(desired.number, "The value", NUMBER_MAX))


def _issuer(desired: DesiredChange) -> LeagueChange:
    content = _json(desired.text)
    if "change" not in content:
        content = {"change": "issuer.put", "issuer": content}
    kind = content["change"]
    if kind not in ("issuer.put", "issuer.remove"):
        raise Refused(Code.INVALID, "change is issuer.put or issuer.remove.")
    return _formed(kind, content)


def _anchor(desired: DesiredChange) -> LeagueChange:
    text = desired.text
    if "-----BEGIN" in text:
        certificates = certificates_of_pem(text.encode())
        if len(certificates) != 1:
            raise Refused(Code.INVALID, "Paste one certificate.")
        text = certificate_text(certificates[0])
    return _formed("anchor.put", {"certificate": "".join(text.split())})


def _anchor_removal(desired: DesiredChange) -> LeagueChange:
    return _formed("anchor.remove", {"anchor": desired.anchor, "keys": desired.keys})


def _policy(desired: DesiredChange) -> LeagueChange:
    content = _decoded(desired.text or "[]")
    rows = content.get("rows", []) if isinstance(content, dict) else content
    if not isinstance(rows, list):
        raise Refused(Code.INVALID, "What is pasted is no list of rows.")
    plain = [
        {name: value for name, value in one.items() if value not in ("", [])}
        for one in rows
        if isinstance(one, dict)
    ]
    if len(plain) != len(rows):
        raise Refused(Code.INVALID, "Each row is a JSON object.")
    return _formed("policy.set", {"rows": plain} if plain else {})


def _upgrade(desired: DesiredChange) -> LeagueChange:
    height = _number(desired.number, "The height", HEIGHT_MAX)
    fields = {"height": height, "ruleset": desired.ruleset}
    return _formed("upgrade.plan", fields | ({"engine": desired.engine} if desired.engine else {}))


_MAKERS: Final[Mapping[ProposalKind, Callable[[DesiredChange], LeagueChange]]] = MappingProxyType(
    {
        "issuer": _issuer,
        "anchor": _anchor,
        "anchor-remove": _anchor_removal,
        "policy": _policy,
        "upgrade": _upgrade,
    }
)


def _formed(kind: str, fields: Mapping[str, object]) -> LeagueChange:
    """A change of a kind, from its fields.

    Raises:
        Refused: `Code.INVALID`.
    """
    try:
        made: LeagueChange = CHANGE_FORMS[kind].read(canonical_json({"change": kind, **fields}))
    except Refused as error:
        raise Refused(Code.INVALID, f"What was sent is not {kind} in its form: {error.message}") from error
    return made


def _json(text: str) -> dict[str, Any]:
    content = _decoded(text)
    if not isinstance(content, dict):
        raise Refused(Code.INVALID, "What is pasted is no JSON object.")
    return content


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except UNREADABLE as error:
        raise Refused(Code.INVALID, "What is pasted is no JSON.") from error


def _number(text: str, what: str, most: int) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 16 or int(text) > most:
        raise Refused(Code.INVALID, f"{what} is a whole number from 0 to {most}.")
    return int(text)
