"""Trusted issuers as the ledger has them decide whose credentials are accepted."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from hansa.core.certificates import read_anchor
from hansa.core.clock import ManualClock
from hansa.core.errors import Code, Refused, Unavailable
from hansa.core.trust.issuers import TRUSTED_ISSUER, TRUSTED_ISSUERS, TrustedIssuer
from hansa.identity.credentials import (
    CredentialVerifier,
    DidKeys,
    IssuerTrust,
    RecentPresentations,
    StatusLists,
)
from hansa.node.verifier.issuers import LedgerIssuers
from tests.support.certificates import NOW
from tests.support.credentials import EMPLOYEE, ISSUER, ROOT, Web, grant, jwt_vc, mandating


class Ledger:
    """Records of a ledger, which can be away."""

    def __init__(self, *issuers: TrustedIssuer) -> None:
        self.records: Mapping[tuple[str, str], bytes] = {
            (TRUSTED_ISSUERS, one.did): TRUSTED_ISSUER.write(one) for one in issuers
        }
        self.is_away = False

    async def record(self, section: str, key: str) -> bytes | None:
        if self.is_away:
            raise Unavailable(Code.UNAVAILABLE, "The ledger does not answer.")
        return self.records.get((section, key))


def verifier_of(ledger: Ledger) -> CredentialVerifier:
    """Believes one authority, and whom the ledger names."""
    web = Web()
    dids = DidKeys(web)
    trust = IssuerTrust([read_anchor(ROOT.der)], LedgerIssuers(ledger), dids)
    return CredentialVerifier(trust, dids, StatusLists(web, trust), RecentPresentations(), ManualClock(NOW))


async def test_an_issuer_of_the_ledger_is_what_it_was_recorded_as() -> None:
    issuer = mandating(ISSUER)
    assert await LedgerIssuers(Ledger(issuer)).of_did(ISSUER) == issuer
    assert await LedgerIssuers(Ledger()).of_did(ISSUER) is None


async def test_a_credential_counts_for_types_that_the_members_voted() -> None:
    verified = await verifier_of(Ledger(grant(EMPLOYEE))).credential(jwt_vc(), "jwt_vc_json")
    assert verified.issuer.id == ISSUER


@pytest.mark.parametrize("ledger", [Ledger(), Ledger(grant("SomethingElse"))], ids=["nobody", "another type"])
async def test_every_other_credential_counts_for_nothing(ledger: Ledger) -> None:
    with pytest.raises(Refused):
        await verifier_of(ledger).credential(jwt_vc(), "jwt_vc_json")


async def test_an_issuer_that_is_removed_is_trusted_for_nothing_from_then_on() -> None:
    ledger = Ledger(grant(EMPLOYEE))
    verifier = verifier_of(ledger)
    await verifier.credential(jwt_vc(), "jwt_vc_json")
    ledger.records = {}
    with pytest.raises(Refused):
        await verifier.credential(jwt_vc(), "jwt_vc_json")


async def test_a_ledger_that_is_away_makes_nobody_trusted() -> None:
    ledger = Ledger(grant(EMPLOYEE))
    ledger.is_away = True
    with pytest.raises(Unavailable):
        await verifier_of(ledger).credential(jwt_vc(), "jwt_vc_json")
