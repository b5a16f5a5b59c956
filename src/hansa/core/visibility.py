"""Who may see an entity, as its provider says in its attribute `visibleTo`.

| `visibleTo` | means |
|---|---|
| absent, or `["everyone"]` | all marketplaces |
| `["here"]` | this marketplace alone |
| `["did:key:z6Mk…", …]` | this marketplace, and those with these DIDs |
| `["country:DE", …]` | marketplaces of these countries (ISO 3166-1); may stand beside DIDs |

A public event on the ledger says to everyone that there is the entity. So what is for chosen marketplaces
is announced by sealed events (`hansa.replication.confidential`), and a replica that says so of itself and
arrived in another way is not stored. What cannot be read is for nobody.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

import msgspec

ATTRIBUTE: Final = "visibleTo"
EVERYONE: Final = "everyone"
HERE: Final = "here"
ENTRIES_MAX: Final = 100
_DID: Final = re.compile(r"did:[a-z0-9]+:[A-Za-z0-9._:%-]{1,240}")
_COUNTRY: Final = re.compile(r"country:[A-Z]{2}")
_MENTIONED: Final = b'"visibleTo":'
FORM: Final = (
    'must be ["everyone"], ["here"], or a list of DIDs of marketplaces and of countries, as "country:DE"'
)
"""What is wrong with a value that is none of these, as a rule of its attribute."""


class Visibility(msgspec.Struct, frozen=True):
    """Who may see an entity."""

    audience: Literal["everyone", "here", "chosen", "nobody"]
    members: frozenset[str] = frozenset()
    """DIDs of the chosen marketplaces."""
    countries: frozenset[str] = frozenset()
    """Codes of the chosen countries."""

    @property
    def is_public_here(self) -> bool:
        """Whether this marketplace, the origin, may show the entity to strangers.

        Nobody knows where a stranger is, so that what is for some countries needs a token.
        """
        return self.audience in {"everyone", "here"} or (self.audience == "chosen" and not self.countries)

    @property
    def reason(self) -> str:
        """Why other marketplaces do not get the entity, as a sentence."""
        match self.audience:
            case "here":
                return "Its provider shows it at this marketplace alone (visibleTo)."
            case "chosen":
                return "Its provider has chosen who sees it (visibleTo): it is sealed for them, and published to nobody else."
            case "nobody":
                return "It cannot be read for whom it is (visibleTo)."
            case _:
                return "It is for everyone."


FOR_EVERYONE: Final = Visibility("everyone")
FOR_NOBODY: Final = Visibility("nobody")


def read_visibility(value: Any) -> Visibility | None:
    """The visibility that a value of `visibleTo` says; None when it says none."""
    if value is None:
        return FOR_EVERYONE
    if not isinstance(value, list) or not 1 <= len(value) <= ENTRIES_MAX:
        return None
    if value in ([EVERYONE], [HERE]):
        return FOR_EVERYONE if value == [EVERYONE] else Visibility("here")
    members = {one for one in value if isinstance(one, str) and _DID.fullmatch(one)}
    countries = {one for one in value if isinstance(one, str) and _COUNTRY.fullmatch(one)}
    if len(members) + len(countries) != len(value):
        return None
    codes = frozenset(one.removeprefix("country:") for one in countries)
    return Visibility("chosen", frozenset(members), codes)


def is_mentioned(body: bytes) -> bool:
    """Whether an entity, by its canonical bytes, may say who may see it."""
    return _MENTIONED in body


def visibility_of(body: bytes) -> Visibility:
    """The visibility of an entity, by its canonical bytes; of one that cannot be read: nobody.

    Most entities do not mention it, and are not decoded.
    """
    if not is_mentioned(body):
        return FOR_EVERYONE
    fields = msgspec.json.decode(body)
    if not isinstance(fields, dict):
        return FOR_NOBODY
    return read_visibility(fields.get(ATTRIBUTE)) or FOR_NOBODY
