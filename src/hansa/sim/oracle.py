"""What has to be where, worked out from what the origins have: without policies, heads or events.

The conditions of the workload are here twice: as Cedar for the members, and as a function for the oracle.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from hansa.core.identifiers import is_bound_form

PUBLIC_STATUSES: Final = frozenset({"Launched", "Retired", "Obsolete"})
CATALOGUE_TYPES: Final = frozenset({"Category", "ProductOffering", "ProductSpecification"})
"""Of what the workload writes."""
DEPTH_MAX: Final = 4
"""How many references deep a replica brings what it needs (docs/operators/distribution.md)."""

Verdict = Literal["permitted", "unmentioned", "forbidden"]
Condition = Callable[[str, "Known"], Verdict]
"""Of a type and an entity."""

_ALL: Final = '@id("all") permit (principal, action, resource);\n'


class Known(msgspec.Struct, frozen=True):
    """An entity as its origin has it."""

    id: str
    type: str
    origin: str
    """DID."""
    fields: Mapping[str, Any]
    body: bytes
    is_claimed: bool
    """Whether its identifier is the origin's by the ledger."""

    @property
    def needs(self) -> tuple[str, ...]:
        """Identifiers without which it is not usable."""
        names = {
            "ProductOffering": ("category", "productSpecification"),
            "ProductSpecification": ("bundledProductSpecification",),
        }.get(self.type, ())
        values = [self.fields.get(name) for name in names]
        references = [one for value in values for one in (value if isinstance(value, list) else [value])]
        return tuple(dict.fromkeys(one["id"] for one in references if isinstance(one, dict)))


def _french(known: Known) -> bool:
    characteristics = [
        *known.fields.get("prodSpecCharValueUse", ()),
        *known.fields.get("productSpecCharacteristic", ()),
    ]
    values = [value for one in characteristics for value in one.get("productSpecCharacteristicValue", ())]
    return any(value.get("value") == "fr" for value in values)


def _forbid(holds: Callable[[str, Known], bool]) -> Condition:
    return lambda type_name, known: "forbidden" if holds(type_name, known) else "permitted"


def _permit(holds: Callable[[str, Known], bool]) -> Condition:
    return lambda type_name, known: "permitted" if holds(type_name, known) else "unmentioned"


CONDITIONS: Final[dict[str, tuple[str, Condition]]] = {
    "": ("", lambda *_: "permitted"),
    "offerings": (
        '@id("offerings") permit (principal, action, resource == Type::"ProductOffering");\n',
        _permit(lambda type_name, _: type_name == "ProductOffering"),
    ),
    "not-retired": (
        _ALL
        + '@id("retired") forbid (principal, action, resource) when { context.lifecycleStatus == "Retired" };\n',
        _forbid(lambda _, known: known.fields.get("lifecycleStatus") == "Retired"),
    ),
    "not-categories": (
        _ALL + '@id("categories") forbid (principal, action, resource == Type::"Category");\n',
        _forbid(lambda type_name, _: type_name == "Category"),
    ),
    "not-offerings": (
        _ALL + '@id("offerings") forbid (principal, action, resource == Type::"ProductOffering");\n',
        _forbid(lambda type_name, _: type_name == "ProductOffering"),
    ),
    "not-french": (
        _ALL
        + '@id("french") forbid (principal, action == Action::"store", resource) '
        + 'when { context.languages.contains("fr") };\n',
        _forbid(lambda _, known: _french(known)),
    ),
    "launched-only": (
        '@id("launched") permit (principal, action, resource) when { context.lifecycleStatus == "Launched" };\n',
        _permit(lambda _, known: known.fields.get("lifecycleStatus") == "Launched"),
    ),
    "no-categories": (
        _ALL + '@id("categories") forbid (principal, action, resource == Type::"Category");\n',
        _forbid(lambda type_name, _: type_name == "Category"),
    ),
}
"""Cedar, and what it means."""


def is_for_everyone(fields: Mapping[str, Any]) -> bool:
    """Whether an entity, by its own words, may be at other members."""
    return fields.get("lifecycleStatus") in PUBLIC_STATUSES and fields.get("visibleTo", ["everyone"]) == [
        "everyone"
    ]


def is_published(known: Known, publish: str) -> bool:
    """Whether the other members get an entity, under a publish condition of its origin."""
    if known.type not in CATALOGUE_TYPES or not is_for_everyone(known.fields) or not known.is_claimed:
        return False
    return CONDITIONS[publish][1](known.type, known) == "permitted"


def audience(known: Known, publish: str) -> frozenset[str]:
    """DIDs of the other members that get an entity which is not for everybody, under a publish condition."""
    if not is_bound_form(known.id):
        return frozenset()  # whoever claimed it would tell everybody that it exists
    if known.type == "ProductOrder":
        parties = [one["name"] for one in known.fields.get("relatedParty", ())]
    elif (
        known.type not in CATALOGUE_TYPES
        or known.fields.get("lifecycleStatus") not in PUBLIC_STATUSES
        or CONDITIONS[publish][1](known.type, known) != "permitted"
    ):
        parties = []
    else:
        parties = known.fields.get("visibleTo", [])
    return frozenset(one for one in parties if one.startswith("did:") and one != known.origin)


def is_addressed(fields: Mapping[str, Any], member: str) -> bool:
    """Whether an entity that is not for everybody is for a member, by its own words."""
    parties = [one.get("name") for one in fields.get("relatedParty", ())]
    return member in (*fields.get("visibleTo", ()), *parties)


def blocked(known: Known, of_origin: Mapping[str, Known], publish: str) -> bool:
    """Whether the event of an entity waits for another one of its origin, which is not published."""
    others = [of_origin[each] for each in known.needs if each in of_origin]
    return any(not is_published(one, publish) for one in others)


def expected_replicas(published: Sequence[Known], member: str, consume: str) -> dict[str, Known]:
    """The replicas that a member has, by identifier, of what the others publish."""
    of_others = {one.id: one for one in published if one.origin != member}
    condition = CONDITIONS[consume][1]
    verdicts = {each: condition(one.type, one) for each, one in of_others.items()}
    expected = {each: one for each, one in of_others.items() if verdicts[each] == "permitted"}
    newest: Iterable[Known] = tuple(expected.values())
    for _ in range(DEPTH_MAX):
        needed = {target for one in newest for target in one.needs}
        added = {
            each: of_others[each]
            for each in sorted(needed)
            if each in of_others and each not in expected and verdicts[each] == "unmentioned"
        }
        expected |= added
        newest = tuple(added.values())
    return expected
