"""Presentations of SD-JWT VCs, judged by an implementation that is not ours.

What `polaris-oid4vp`, certified for HAIP, refuses is refused here too. The other way round need not hold:
some rules here are stricter.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.certificates import NOW, YEAR, Usages, authority
from tests.support.credentials import (
    AUDIENCE,
    NONCE,
    NOW_S,
    ROOT,
    SEAL,
    Verifying,
    bound,
    digest,
    disclosure,
    jwt,
    sd_claims,
    sd_jwt,
    seal,
    x5c,
)
from tests.unit.identity.credentials.test_sd_jwt import STOLEN, TAMPERED, TIMES

MIDDLE = authority("Middle CA", ROOT)
GOOD: dict[str, str] = {
    "as it is issued": bound(sd_jwt()),
    "with disclosures": bound(
        sd_jwt(
            sd_claims(
                _sd=[digest(a := disclosure("a", 1)), digest(disclosure("b", 2))],
                list=[{"...": digest(c := disclosure("c"))}],
            ),
            [a, c],
        )
    ),
    "under an intermediate authority": bound(
        "~".join([jwt((leaf := seal(MIDDLE)).key, sd_claims(), typ="dc+sd-jwt", x5c=x5c(leaf, MIDDLE)), ""])
    ),
}


def cases() -> dict[str, str]:
    every = {f"disclosure: {name}": bound(sd_jwt(*TAMPERED[name])) for name in TAMPERED}
    every |= {f"presentation: {name}": text for name, (text, _) in STOLEN.items()}
    every |= {f"time: {name}": bound(sd_jwt(sd_claims(**changes))) for name, (changes, _) in TIMES.items()}
    leaves = {
        "self-signed": seal(None),
        "of an unknown authority": seal(authority("Unknown CA")),
        "of an authority with the anchor's name": seal(authority()),
        "for encryption": seal(ROOT, usages=Usages(key_encipherment=True)),
        "for documents alone": seal(ROOT, usages=Usages(content_commitment=True)),
        "ended": seal(ROOT, begin=NOW - YEAR, end=NOW - timedelta(minutes=6)),
        "not begun": seal(ROOT, begin=NOW + timedelta(minutes=6)),
        "under a leaf": seal(SEAL),
        "that is the anchor": ROOT,
    }
    every |= {f"certificate: {name}": bound(sd_jwt(issuer=leaf)) for name, leaf in leaves.items()}
    return every


CASES = cases()


def their_verdict(text: str) -> str:
    """Empty when they accept it."""
    theirs = pytest.importorskip("polaris_oid4vp.sdjwt")
    verdict = theirs.verify_presentation(
        text,
        expected_nonce=NONCE,
        expected_audience=AUDIENCE,
        trust_anchors=[ROOT.certificate],
        now=NOW_S,
    )
    return "" if verdict.authentic else str(verdict.code)


@pytest.mark.parametrize("name", GOOD)
async def test_both_accept_what_is_good(name: str) -> None:
    assert their_verdict(GOOD[name]) == ""
    assert (await Verifying().presentation(GOOD[name])).is_presented


async def test_whatever_the_other_refuses_is_refused() -> None:
    refused = [name for name, text in CASES.items() if their_verdict(text)]
    for name in refused:
        await Verifying().refusal(CASES[name], is_presented=True)
    assert len(refused) > 0.7 * len(CASES)
