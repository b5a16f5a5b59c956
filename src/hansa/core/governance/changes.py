"""What members can vote on: a closed union of changes, as data.

A change is a record whose field `change` names its kind.

    member.put        {candidacy, power, prefixes?}   admit a candidate, or register a member anew
    member.status     {did, status}                   active | suspended | removed
    suspension        {did, duration_s}               the member may publish nothing for so long (emergency)
    validator.power   {did, power, validator?}        voting power; `validator`: of another key
    param.set         {name, value}                   a limit of the league
    anchor.put | anchor.remove | certificate.revoke | issuer.put | issuer.remove | policy.set
                                                      what the league trusts (`hansa.core.trust.changes`)
    upgrade.plan

A kind of change is a tagged struct and its closed form in `CHANGE_FORMS`; what it does is in
`hansa.pubsub.ledger.rules.changes`, under the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from hansa.core.closed_json import Integer, ListOf, OneOf, Text
from hansa.core.closed_structs import StructForm
from hansa.core.governance.forms import DID, LeagueChange, jws_text
from hansa.core.governance.possession import CANDIDACY_LENGTH_MAX_CHARS, PROOF
from hansa.core.members import POWER_MAX, PREFIXES
from hansa.core.trust.changes import TRUST_CHANGE_FORMS

CHANGES_MAX: Final = 16
"""In one proposal."""
PARAM_VALUE_MAX: Final = 2**53 - 1
DURATION_MAX_S: Final = 366 * 86_400

HEIGHT_MAX: Final = 2**53 - 1
RULESET_PATTERN: Final = "[a-z0-9-]{1,32}/[0-9]{1,4}"
ENGINE_PATTERN: Final = r"v[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}"
"""Of a version of CometBFT."""

VotedStatus = Literal["active", "removed", "suspended"]


class MemberPut(LeagueChange, frozen=True, tag="member.put"):
    """Admit a candidate, or replace what the registry has of a member by its new candidacy."""

    candidacy: str
    """Compact JWS (`hansa.core.governance.possession`)."""
    power: int = 0
    """Voting power; needs a validator's key when it is not 0."""
    prefixes: tuple[str, ...] = ()
    """Beginnings of identifiers that the member alone may publish."""


class MemberStatusChange(LeagueChange, frozen=True, tag="member.status"):
    """Suspend a member from publishing, make it active again, or remove it from the league."""

    did: str
    status: VotedStatus


class Suspension(LeagueChange, frozen=True, tag="suspension"):
    """Emergency: a member may publish nothing for some time. Its voting power stays."""

    did: str
    duration_s: int


class ValidatorPower(LeagueChange, frozen=True, tag="validator.power"):
    """Give a member another voting power."""

    did: str
    power: int
    validator: str = ""
    """Proof of possession of another validator key; empty: the registered one stays."""


class ParamSet(LeagueChange, frozen=True, tag="param.set"):
    """Change a limit of the league (`hansa.pubsub.ledger.genesis.LedgerParams`)."""

    name: str
    value: int


class PlanUpgrade(LeagueChange, frozen=True, tag="upgrade.plan"):
    """Judge by other rules, or need a newer engine, from a block on."""

    height: int
    """Of the first block under them; 0: nothing is planned any more."""
    ruleset: str
    """As `hansa-ledger/5`."""
    engine: str = ""
    """The oldest version of the engine that may run from then on, as `v0.40.0`; empty: any."""


CHANGE_FORMS: Final[Mapping[str, StructForm[Any]]] = MappingProxyType(
    {
        "member.put": StructForm(
            MemberPut,
            {"candidacy": jws_text(CANDIDACY_LENGTH_MAX_CHARS)},
            {"power": Integer(0, POWER_MAX), "prefixes": PREFIXES},
        ),
        "member.status": StructForm(
            MemberStatusChange, {"did": DID, "status": Text("active|removed|suspended")}
        ),
        "param.set": StructForm(
            ParamSet, {"name": Text("[a-z0-9_]{1,64}"), "value": Integer(0, PARAM_VALUE_MAX)}
        ),
        "suspension": StructForm(Suspension, {"did": DID, "duration_s": Integer(1, DURATION_MAX_S)}),
        "upgrade.plan": StructForm(
            PlanUpgrade,
            {"height": Integer(0, HEIGHT_MAX), "ruleset": Text(RULESET_PATTERN)},
            {"engine": Text(ENGINE_PATTERN)},
        ),
        "validator.power": StructForm(
            ValidatorPower, {"did": DID, "power": Integer(0, POWER_MAX)}, {"validator": PROOF}
        ),
        **TRUST_CHANGE_FORMS,
    }
)
"""The closed form of each kind of change."""

CHANGES: Final = ListOf(OneOf(CHANGE_FORMS, lambda change: change.kind), CHANGES_MAX)
"""The changes of a proposal, in the order in which they take effect."""
