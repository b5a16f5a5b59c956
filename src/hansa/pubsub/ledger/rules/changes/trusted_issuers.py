"""`issuer.put`, `issuer.remove`: who may issue which credentials."""

from __future__ import annotations

from typing import Final

from hansa.core.errors import Refused
from hansa.core.keys import VerifyingKey
from hansa.core.trust.changes import IssuerPut, IssuerRemove
from hansa.core.trust.issuers import (
    ISSUER_SIZE_MAX_BYTES,
    ISSUERS_MAX,
    TRUSTED_ISSUER,
    TRUSTED_ISSUERS,
    TrustedIssuer,
)
from hansa.pubsub.ledger.rules.changes.elements import ElementsView
from hansa.pubsub.ledger.rules.changes.kind import ChangeKind
from hansa.pubsub.ledger.rules.governance.refusals import CHANGE
from hansa.pubsub.ledger.state import Overlay

_ISSUER: Final = "threshold_issuer_sixtieths"


def _put(state: Overlay, change: IssuerPut) -> None:
    issuer = change.issuer
    _check(issuer)
    body = TRUSTED_ISSUER.write(issuer)
    if len(body) > ISSUER_SIZE_MAX_BYTES:
        raise CHANGE.broken(f"What is recorded of an issuer has {ISSUER_SIZE_MAX_BYTES} bytes at most.")
    issuers = state.records(TRUSTED_ISSUERS)
    if issuer.did not in issuers and len(issuers) >= ISSUERS_MAX:
        raise CHANGE.broken(f"The league has {ISSUERS_MAX} trusted issuers, as many as it may have.")
    state.put_record(TRUSTED_ISSUERS, issuer.did, body)


def _check(issuer: TrustedIssuer) -> None:
    """What is wrong with an issuer by itself."""
    if any(grant.until_s < grant.from_s for grant in issuer.credentials):
        raise CHANGE.broken("The issuer may issue something until a time before it may begin.")
    if len({key.kid for key in issuer.keys}) < len(issuer.keys):
        raise CHANGE.broken("Two keys of the issuer have the same name.")
    try:
        for key in issuer.keys:
            VerifyingKey(key)
    except Refused as error:
        raise CHANGE.broken(error.message) from error


def _remove(state: Overlay, change: IssuerRemove) -> None:
    if state.record(TRUSTED_ISSUERS, change.did) is None:
        raise CHANGE.broken(f"{change.did} is no trusted issuer.")
    state.put_record(TRUSTED_ISSUERS, change.did, None)


def _describe_put(view: ElementsView, change: IssuerPut) -> str:
    issuer = change.issuer
    verb = "Trust" if view.record(TRUSTED_ISSUERS, issuer.did) is None else "Change what is trusted of"
    types = ", ".join(dict.fromkeys(grant.type for grant in issuer.credentials))
    name = f"{issuer.name} ({issuer.did})" if issuer.name else issuer.did
    return f"{verb} {name} as an issuer of {types}."


def _describe_remove(view: ElementsView, change: IssuerRemove) -> str:
    del view
    return f"Trust {change.did} no more as an issuer of credentials."


ISSUER_PUT: Final = ChangeKind(
    "issuer.put", _ISSUER, lambda change: (f"issuer/{change.issuer.did}",), _put, _describe_put
)
ISSUER_REMOVE: Final = ChangeKind(
    "issuer.remove", _ISSUER, lambda change: (f"issuer/{change.did}",), _remove, _describe_remove
)
