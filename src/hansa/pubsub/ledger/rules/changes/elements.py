"""Elements of the state as proposals name them (`hansa.core.governance.elements`): their bytes and hashes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from hansa.core.canonical import canonical_json
from hansa.core.governance.elements import BaseElement, element_hash
from hansa.core.members import Member
from hansa.pubsub.ledger.genesis import LedgerParams
from hansa.pubsub.ledger.rules.governance.tables import SUSPENSIONS


class ElementsView(Protocol):
    """What elements are read from."""

    @property
    def params(self) -> LedgerParams:
        """The league's limits."""

    def member(self, did: str) -> Member | None:
        """The member with that DID."""

    def record(self, section: str, key: str) -> bytes | None:
        """A record of a section, as it is stored."""

    def records(self, section: str) -> Mapping[str, bytes]:
        """All records of a section, in the order of their keys."""


def _member(view: ElementsView, did: str) -> bytes | None:
    """What only a vote can change of a member. An emergency suspension changes none of it."""
    member = view.member(did)
    if member is None:
        return None
    suspension = SUSPENSIONS.get(view, did)
    is_emergency = suspension is not None and not suspension.ended
    return canonical_json(
        {
            "did": member.did,
            "name": member.name,
            "prefixes": list(member.prefixes),
            "status": "active" if is_emergency else member.status,
        }
    )


def _power(view: ElementsView, did: str) -> bytes | None:
    member = view.member(did)
    if member is None:
        return None
    return canonical_json({"power": member.power, "validator_key": member.validator_key})


def _param(view: ElementsView, name: str) -> bytes | None:
    return b"%d" % getattr(view.params, name) if name in LedgerParams.__struct_fields__ else None


def _record_of(section: str) -> Callable[[ElementsView, str], bytes | None]:
    return lambda view, key: view.record(section, key)


_BODIES: Final[Mapping[str, Callable[[ElementsView, str], bytes | None]]] = {
    "anchor": _record_of("anchors"),
    "certificate": _record_of("certificates"),
    "issuer": _record_of("trusted_issuers"),
    "member": _member,
    "param": _param,
    "policy": _record_of("policies"),
    "power": _power,
    "upgrade": _record_of("upgrades"),
}


def current_element(view: ElementsView, element: str) -> BaseElement:
    """An element as it is."""
    kind, _, key = element.partition("/")
    body = _BODIES.get(kind)
    return BaseElement(element, "" if body is None else element_hash(body(view, key)))


def base_of(view: ElementsView, elements: Iterable[str]) -> tuple[BaseElement, ...]:
    """The base of a proposal that touches these elements."""
    return tuple(current_element(view, element) for element in sorted(set(elements)))
