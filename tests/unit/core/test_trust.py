"""Forms of what a league trusts, and the table of policies."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hansa.core.closed_structs import StructForm
from hansa.core.errors import Code, Refused
from hansa.core.events import EntityVersion, LifecycleEvent, Metadata
from hansa.core.governance.changes import CHANGE_FORMS
from hansa.core.keys import SigningKey
from hansa.core.trust.certificates import (
    KEY_CERTIFICATE,
    NOTICE_S,
    TRUST_ANCHOR,
    KeyCertificate,
    TrustAnchor,
    certificate_state,
)
from hansa.core.trust.changes import (
    AnchorPut,
    AnchorRemove,
    CertificateRevoke,
    IssuerPut,
    IssuerRemove,
    PolicySet,
)
from hansa.core.trust.issuers import (
    TRUSTED_ISSUER,
    AllowedClaim,
    CredentialGrant,
    TrustedIssuer,
)
from hansa.core.trust.policies import (
    POLICY_TABLE,
    CompiledPolicies,
    IssuerRole,
    PolicyRow,
    PolicyTable,
    compiled_policies,
)

DIDS = ("did:elsi:VATES-12345678", "did:key:zDn", "did:web:market.example")
TYPES = ("Category", "Organization", "ProductOffering")
ROLES: tuple[IssuerRole, ...] = get_args(IssuerRole)
JWK = SigningKey.generate().public

plain = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=20)
dids = st.sampled_from(DIDS)
seconds = st.integers(0, 253_402_300_799)
certificate_texts = st.binary(min_size=3, max_size=60).map(lambda raw: "AAAA" + raw.hex())
fingerprints = st.text("0123456789abcdef", min_size=64, max_size=64)


def some(values: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[Any]:
    return st.lists(values, max_size=most).map(tuple)


rows = st.builds(
    PolicyRow,
    action=st.sampled_from(["allow", "refuse"]),
    certificate=st.sampled_from(["", "required"]),
    issuers=some(dids),
    labels=some(plain.filter(bool)),
    reason=plain,
    roles=some(st.sampled_from(ROLES)),
    types=some(st.sampled_from(TYPES)),
)
claims = st.builds(AllowedClaim, plain, plain, some(plain))
grants = st.builds(
    CredentialGrant, seconds, st.sampled_from(["LEARCredentialEmployee", "x:y/z"]), seconds, some(claims)
)
issuers = st.builds(
    TrustedIssuer, st.lists(grants, min_size=1, max_size=3).map(tuple), dids, some(st.just(JWK)), plain
)
VALUES: tuple[tuple[StructForm[Any], st.SearchStrategy[Any]], ...] = (
    (TRUST_ANCHOR, st.builds(TrustAnchor, certificate_texts, plain)),
    (
        KEY_CERTIFICATE,
        st.builds(
            KeyCertificate,
            anchor=fingerprints,
            did=dids,
            kid=st.text("abcXYZ-_", min_size=1, max_size=43),
            not_after_s=seconds,
            not_before_s=seconds,
            registered_ms=seconds,
            x5c=st.lists(certificate_texts, min_size=1, max_size=4).map(tuple),
            revoked_ms=seconds,
        ),
    ),
    (TRUSTED_ISSUER, issuers),
    (POLICY_TABLE, st.builds(PolicyTable, st.lists(rows, min_size=1, max_size=5).map(tuple))),
    (CHANGE_FORMS["anchor.put"], st.builds(AnchorPut, certificate_texts, plain)),
    (
        CHANGE_FORMS["anchor.remove"],
        st.builds(AnchorRemove, fingerprints, st.sampled_from(["keep", "revoke"])),
    ),
    (CHANGE_FORMS["certificate.revoke"], st.builds(CertificateRevoke, dids, st.just("key-1"))),
    (CHANGE_FORMS["issuer.put"], st.builds(IssuerPut, issuers)),
    (CHANGE_FORMS["issuer.remove"], st.builds(IssuerRemove, dids)),
    (CHANGE_FORMS["policy.set"], st.builds(PolicySet, some(rows))),
)


@pytest.mark.parametrize(("form", "values"), VALUES)
@given(data=st.data())
def test_what_is_written_is_read_again_and_nothing_else_is(
    form: StructForm[Any], values: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    value = data.draw(values)
    raw = form.write(value)
    assert form.read(raw) == value
    at = data.draw(st.integers(0, len(raw) - 1))
    changed = raw[:at] + bytes((raw[at] ^ data.draw(st.integers(1, 255)),)) + raw[at + 1 :]
    try:
        other = form.read(changed)
    except Refused as error:
        assert error.code is Code.MALFORMED  # noqa: PT017 - most changes are refused, some make another value
    else:
        assert form.write(other) == changed


def test_a_certificate_says_for_how_long_it_is_good() -> None:
    certificate = KeyCertificate("0" * 64, DIDS[0], "k", 10_000_000, 0, 0, ("AAAA",))
    assert certificate_state(certificate, 1000 * (10_000_000 - NOTICE_S)) == "valid"
    assert certificate_state(certificate, 1000 * (10_000_000 - NOTICE_S + 1)) == "expiring"
    assert certificate_state(certificate, 10_000_000_999) == "expiring"
    assert certificate_state(certificate, 10_000_001_000) == "expired"


def event(kind: str = "ProductOffering", change: str = "Create", **metadata: Any) -> LifecycleEvent:
    return LifecycleEvent(
        id="018f",
        type=f"{kind[0].lower()}{kind[1:]}{change}Event",
        time="2026-01-01T00:00:00.000Z",
        issuer=DIDS[0],
        entity=EntityVersion("0" * 64, kind, 1),
        hashlink="hl:z",
        metadata=Metadata(**metadata),
    )


def refusal(
    row_list: list[PolicyRow], what: LifecycleEvent, roles: frozenset[str] = frozenset()
) -> str | None:
    return CompiledPolicies(PolicyTable(tuple(row_list))).refusal(what, lambda: roles)


def test_a_table_without_a_row_that_applies_allows() -> None:
    assert refusal([], event()) is None
    assert refusal([PolicyRow("refuse", types=("Category",))], event()) is None
    assert refusal([PolicyRow("refuse", issuers=(DIDS[1],))], event()) is None
    assert refusal([PolicyRow("refuse", roles=("observer",))], event(), frozenset({"validator"})) is None


def test_the_first_row_that_applies_decides() -> None:
    allow, refuse = PolicyRow("allow", issuers=(DIDS[0],)), PolicyRow("refuse", reason="Not here.")
    assert refusal([allow, refuse], event()) is None
    assert "Not here." in (refusal([refuse, allow], event()) or "")


def test_a_label_is_demanded_and_one_of_several_is_enough() -> None:
    table = [PolicyRow("allow", labels=("EU-Cloud-CoC", "Gaia-X"), types=("ProductOffering",))]
    assert "Gaia-X" in (refusal(table, event()) or "")
    assert refusal(table, event(compliance=("Gaia-X",))) is None
    assert refusal(table, event(compliance=("gaia-x", "Gaia-X "))) is not None
    assert refusal(table, event("Category")) is None


def test_a_certificate_is_demanded() -> None:
    table = [PolicyRow("allow", certificate="required")]
    assert "certificate" in (refusal(table, event(), frozenset({"uncertified"})) or "")
    assert refusal(table, event(), frozenset({"certified"})) is None


def test_a_deletion_is_always_allowed() -> None:
    assert refusal([PolicyRow("refuse")], event(change="Delete")) is None


@given(st.lists(rows, max_size=6), st.sampled_from(TYPES), some(plain), st.sets(st.sampled_from(ROLES)))
def test_a_compiled_table_decides_as_its_rows_read(
    row_list: list[PolicyRow], kind: str, labels: tuple[str, ...], roles: set[str]
) -> None:
    what = event(kind, compliance=labels)
    is_allowed = True
    for row in row_list:
        applies = (
            (not row.types or kind in row.types)
            and (not row.issuers or what.issuer in row.issuers)
            and (not row.roles or bool(roles & set(row.roles)))
        )
        if applies:
            is_allowed = (
                row.action == "allow"
                and (not row.certificate or "certified" in roles)
                and (not row.labels or bool(set(row.labels) & set(labels)))
            )
            break
    assert (refusal(row_list, what, frozenset(roles)) is None) == is_allowed


def test_a_table_is_compiled_once() -> None:
    body = POLICY_TABLE.write(PolicyTable((PolicyRow("refuse"),)))
    assert compiled_policies(body) is compiled_policies(bytes(body))
