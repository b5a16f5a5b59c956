"""Distribution policies: what may be published in a league, by whom; a closed table that voters enforce.

A table is a list of rows. The first row that applies to an event decides; when none applies, the event is
allowed. A row applies by the type of the entity, by what its issuer is in the league, or by who it is; each
of these that is left out applies to all. A row that allows may demand a compliance label in the event's
metadata, or a certificate of the key that signed. A deletion is always allowed: what has been published can
be withdrawn.

There are no expressions and no defaults to combine: a table is read by whoever has to keep to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, Literal

import msgspec

from hansa.core.closed_json import FreeText, ListOf, Text
from hansa.core.closed_structs import StructForm
from hansa.core.events import METADATA_LIST_MAX, METADATA_TEXT_MAX_CHARS, LifecycleEvent
from hansa.core.identifiers import DID_PATTERN

ROWS_MAX: Final = 64
TYPES_MAX: Final = 64
ISSUERS_IN_ROW_MAX: Final = 64
REASON_MAX_CHARS: Final = 256

POLICIES: Final = "policies"
"""Section of the ledger's state."""
DISTRIBUTION: Final = "distribution"
"""Key of the table."""

PolicyAction = Literal["allow", "refuse"]
IssuerRole = Literal["certified", "observer", "uncertified", "validator"]


class PolicyRow(msgspec.Struct, frozen=True):
    """One row."""

    action: PolicyAction
    """Whether what the row applies to is allowed or refused."""
    certificate: Literal["", "required"] = ""
    """Of a row that allows: the key that signs has a valid certificate."""
    issuers: tuple[str, ...] = ()
    """DIDs of the issuers to which it applies; none: all."""
    labels: tuple[str, ...] = ()
    """Of a row that allows: the event's metadata have one of these compliance labels; none: they need not."""
    reason: str = ""
    """Why, for whoever is refused."""
    roles: tuple[IssuerRole, ...] = ()
    """Of the issuer: with or without voting power, with or without a valid certificate of the key that signs;
    one of these; none: all."""
    types: tuple[str, ...] = ()
    """Types of entities, as `ProductOffering`; none: all."""


class PolicyTable(msgspec.Struct, frozen=True):
    """The rows, in the order in which they are tried."""

    rows: tuple[PolicyRow, ...] = ()
    """In the order in which they are tried; the first one that applies decides."""


_ROW: Final = StructForm(
    PolicyRow,
    {"action": Text("allow|refuse")},
    {
        "certificate": Text("required"),
        "issuers": ListOf(Text(DID_PATTERN), ISSUERS_IN_ROW_MAX),
        "labels": ListOf(FreeText(METADATA_TEXT_MAX_CHARS), METADATA_LIST_MAX),
        "reason": FreeText(REASON_MAX_CHARS),
        "roles": ListOf(Text("certified|observer|uncertified|validator"), 4),
        "types": ListOf(Text("[A-Z][A-Za-z0-9]{1,63}"), TYPES_MAX),
    },
)
POLICY_ROWS: Final = ListOf(_ROW, ROWS_MAX)
POLICY_TABLE: Final = StructForm(PolicyTable, {"rows": POLICY_ROWS})
"""How the ledger stores and hashes the table; there is no record without rows."""


class CompiledPolicies:
    """A table, with the rows of each type at hand."""

    def __init__(self, table: PolicyTable) -> None:
        self._of_all = tuple(row for row in table.rows if not row.types)
        types = {name for row in table.rows for name in row.types}
        self._of_type: Mapping[str, tuple[PolicyRow, ...]] = {
            name: tuple(row for row in table.rows if not row.types or name in row.types) for name in types
        }

    def refusal(self, event: LifecycleEvent, roles_of_issuer: Callable[[], frozenset[str]]) -> str | None:
        """Why an event may not be published; None when it may.

        Args:
            event: With its issuer and its metadata.
            roles_of_issuer: What the issuer is in the league; called when a row needs it.
        """
        rows = self._of_type.get(event.entity.type, self._of_all)
        if not rows or event.is_delete:
            return None
        roles: frozenset[str] | None = None
        for row in rows:
            if row.issuers and event.issuer not in row.issuers:
                continue
            if (row.roles or row.certificate) and roles is None:
                roles = roles_of_issuer()
            if row.roles and not roles.intersection(row.roles):  # type: ignore[union-attr]
                continue
            return _refusal(row, event, roles or frozenset())
        return None


def _refusal(row: PolicyRow, event: LifecycleEvent, roles: frozenset[str]) -> str | None:
    """What the row that applies says of an event."""
    why = f" {row.reason}" if row.reason else ""
    if row.action == "refuse":
        return f"A policy of the league refuses {event.entity.type} of {event.issuer}.{why}"
    if row.certificate and "certified" not in roles:
        return (
            f"A policy of the league demands a certificate of the key that signs {event.entity.type}, "
            f"and the one of {event.issuer} has none.{why}"
        )
    if row.labels and not set(row.labels).intersection(event.metadata.compliance):
        return (
            f"A policy of the league demands one of the labels {', '.join(row.labels)} of "
            f"{event.entity.type}.{why}"
        )
    return None


@lru_cache(8)
def compiled_policies(body: bytes) -> CompiledPolicies:
    """The table as the ledger has it, compiled once."""
    return CompiledPolicies(POLICY_TABLE.read(body))
