"""What `hansa league propose D KIND …` proposes: a change from the words of a command line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec

from hansa.cli.durations import seconds_of
from hansa.core.bounded_json import UNREADABLE
from hansa.core.canonical import canonical_json
from hansa.core.errors import Code, Refused
from hansa.core.files import read_file
from hansa.core.foreign_text import printable
from hansa.core.governance.changes import (
    CHANGE_FORMS,
    MemberPut,
    MemberStatusChange,
    ParamSet,
    Suspension,
    ValidatorPower,
)
from hansa.core.governance.forms import LeagueChange
from hansa.core.governance.possession import verify_candidacy
from hansa.core.known_words import check_known
from hansa.core.members import POWER_MAX
from hansa.pubsub.league.state import LeagueState

FILE_MAX_BYTES: Final = 1_048_576
_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]+?)-----END CERTIFICATE-----")


class ProposalOptions(msgspec.Struct, frozen=True):
    """What a command line says beside KIND and its arguments."""

    power: int = 0
    """Of a member that is admitted."""
    prefixes: tuple[str, ...] = ()
    """Of identifiers that a member that is admitted alone may publish."""
    lasts: str | None = None
    """For how long a suspension lasts; None: until a vote ends it."""


def change_of(
    kind: str, arguments: Sequence[str], options: ProposalOptions, state: LeagueState, league: str
) -> LeagueChange:
    """The change that a command line describes.

    Args:
        kind: As `power`.
        arguments: What follows it.
        options: Of the options.
        state: The league as it is, for what is named.
        league: Identifier of the league.

    Raises:
        Refused: `Code.INVALID`, saying what is wrong, with what resembles it.
        Fatal: `Code.SETTINGS_INVALID`, when a file cannot be read.
    """
    check_known([kind], KINDS, "kind of proposal")
    names, make = KINDS[kind]
    if len(arguments) != len(names):
        usage = f"hansa league propose D {kind} {' '.join(names)}"
        raise Refused(
            Code.INVALID, f"{kind} takes {' and '.join(names)}, not {len(arguments)} words: {usage}"
        )
    return make(arguments, options, state, league)


def member_named(name: str, state: LeagueState) -> str:
    """The DID of a member that is named by its DID, by its end (8 signs or more), or by its name.

    Raises:
        Refused: `Code.INVALID`, with the members that resemble it.
    """
    if state.member(name) is not None:
        return name
    by_end = [one.did for one in state.members if len(name) >= 8 and one.did.endswith(name)]
    matches = by_end or [one.did for one in state.members if one.name == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise Refused(Code.INVALID, f"{len(matches)} members are called {name!r}; name one by its DID.")
    known = {one.name.lower(): one for one in state.members} | {one.did: one for one in state.members}
    near = difflib.get_close_matches(name.lower()[:256], known, n=2, cutoff=0.6)
    shown = [known[each] for each in near] or list(state.members)[:8]
    listed = ", ".join(f"{one.name} ({one.did})" for one in shown)
    hint = "did you mean" if near else "there are"
    raise Refused(Code.INVALID, f"The league has no member {name[:80]!r}; {hint} {listed}?")


def number_of(text: str, what: str, most: int) -> int:
    """A whole number from 0, which may have separators: 1_000 or 1,000.

    Raises:
        Refused: `Code.INVALID`.
    """
    digits = text.replace(",", "").replace("_", "")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 16 or int(digits) > most:
        raise Refused(Code.INVALID, f"{what} is a whole number from 0 to {most:,}, not {text[:40]!r}.")
    return int(digits)


_Make = Callable[[Sequence[str], ProposalOptions, LeagueState, str], LeagueChange]


def _admit(
    arguments: Sequence[str], options: ProposalOptions, state: LeagueState, league: str
) -> LeagueChange:
    del state
    text = _text_of(arguments[0]).strip()
    if text.startswith("{"):
        text = str(_content_of(arguments[0], "").get("candidacy", ""))
    try:
        verify_candidacy(text, league)
    except Refused as error:
        raise Refused(
            Code.INVALID, f"{arguments[0]} is no candidacy for this league: {error.message}"
        ) from error
    return MemberPut(text, options.power, options.prefixes)


def _suspend(
    arguments: Sequence[str], options: ProposalOptions, state: LeagueState, league: str
) -> LeagueChange:
    del league
    did = member_named(arguments[0], state)
    if options.lasts is None:
        return MemberStatusChange(did, "suspended")
    return Suspension(did, int(seconds_of(options.lasts)))


def _activate(
    arguments: Sequence[str], options: ProposalOptions, state: LeagueState, league: str
) -> LeagueChange:
    del options, league
    return MemberStatusChange(member_named(arguments[0], state), "active")


def _remove(
    arguments: Sequence[str], options: ProposalOptions, state: LeagueState, league: str
) -> LeagueChange:
    del options, league
    return MemberStatusChange(member_named(arguments[0], state), "removed")


def _power(
    arguments: Sequence[str], options: ProposalOptions, state: LeagueState, league: str
) -> LeagueChange:
    del options, league
    power = number_of(arguments[1], "Voting power", POWER_MAX)
    return ValidatorPower(member_named(arguments[0], state), power)


def _param(
    arguments: Sequence[str], options: ProposalOptions, state: LeagueState, league: str
) -> LeagueChange:
    del options, league
    name, value = arguments
    check_known([name], (field.name for field in msgspec.structs.fields(type(state.params))), "limit")
    return ParamSet(name, number_of(value, name, 2**53 - 1))


def _from_file(*changes: str, whole: str = "") -> _Make:
    """A change whose fields are in a JSON file.

    Args:
        changes: Kinds that the file may name in its field `change`; the first one by default.
        whole: Field of the first kind that the file may hold alone.
    """

    def make(
        arguments: Sequence[str], options: ProposalOptions, state: LeagueState, league: str
    ) -> LeagueChange:
        del options, state, league
        path = arguments[0]
        content = _content_of(path, whole)
        change = str(content.setdefault("change", changes[0]))
        check_known([change], changes, "change in this file")
        form = CHANGE_FORMS.get(change)
        if form is None:
            raise Refused(Code.NOT_IMPLEMENTED, f"This release has no proposals of the kind {change}.")
        fields = {name: value for name, value in content.items() if value != []}  # as forms have it
        try:
            made: LeagueChange = form.read(canonical_json(fields))
        except Refused as error:
            lacking, unknown = form.record.misnamed(fields)
            slips = [f"it lacks {', '.join(lacking)}"] if lacking else []
            slips += [f"{printable(', '.join(unknown))} is no field of it"] if unknown else []
            shown = f"{'; '.join(slips)}." if slips else error.message
            raise Refused(
                Code.INVALID,
                f"{path} does not hold {change} in its form: {shown} docs/operators/trust.md and upgrade.md show each.",
            ) from error
        return made

    return make


def _content_of(path: str, whole: str) -> dict[str, Any]:
    """The fields in a file: of JSON, or of a certificate in PEM."""
    text = _text_of(path)
    pem = _PEM.search(text)
    if pem:
        return {"certificate": "".join(pem[1].split())}
    try:
        content = msgspec.json.decode(text)
    except UNREADABLE as error:
        raise Refused(
            Code.INVALID, f"{path} holds neither JSON nor a certificate in PEM: {error}."
        ) from error
    if isinstance(content, dict) and ("change" in content or whole in content or not whole):
        return content
    if not isinstance(content, dict | list) or not whole:
        raise Refused(Code.INVALID, f"{path} does not hold a JSON object.")
    return {whole: content}


def _text_of(path: str) -> str:
    content = read_file(Path(path), "Name an existing file.")
    if len(content) > FILE_MAX_BYTES:
        raise Refused(Code.TOO_LARGE, f"{path} has {len(content):,} bytes; {FILE_MAX_BYTES:,} are allowed.")
    return content.decode("utf-8", "replace")


KINDS: Final[Mapping[str, tuple[tuple[str, ...], _Make]]] = MappingProxyType(
    {
        "admit": (("FILE",), _admit),
        "suspend": (("DID",), _suspend),
        "activate": (("DID",), _activate),
        "remove": (("DID",), _remove),
        "power": (("DID", "N"), _power),
        "param": (("NAME", "VALUE"), _param),
        "issuer": (("FILE",), _from_file("issuer.put", "issuer.remove", whole="issuer")),
        "anchor": (("FILE",), _from_file("anchor.put", "anchor.remove", "certificate.revoke")),
        "policy": (("FILE",), _from_file("policy.set", whole="rows")),
        "upgrade": (("FILE",), _from_file("upgrade.plan")),
    }
)
"""Arguments, and what makes the change of them, by the word for it."""
