from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from hansa.core.certificates import VerifiedChain, read_anchor, verify_chain
from hansa.core.certificates.der import encoded
from hansa.core.errors import Refused
from tests.support.certificates import (
    NOW,
    ORGANIZATION,
    Hash,
    Issued,
    Usages,
    authority,
    issue,
    name,
    new_key,
    seal,
)

NOW_S = int(NOW.timestamp())


def verified(anchor: Issued, *chain: Issued, time_s: int = NOW_S) -> VerifiedChain:
    return verify_chain([one.der for one in chain], [read_anchor(anchor.der)], time_s)


def refusal(anchor: Issued, *chain: Issued, time_s: int = NOW_S) -> str:
    with pytest.raises(Refused) as caught:
        verified(anchor, *chain, time_s=time_s)
    assert caught.value.code == "certificate-invalid"
    return caught.value.message


class TestAChainThatHolds:
    @pytest.mark.parametrize("kind", ["P-256", "P-384", "Ed25519", "2048", "3072"])
    def test_is_verified_whatever_the_kind_of_the_authority_s_key(self, kind: str) -> None:
        root = authority(key=new_key(kind))
        chain = verified(root, seal(root))
        assert chain.leaf.subject.organization_identifier == ORGANIZATION
        assert chain.anchor.raw == root.der

    @pytest.mark.parametrize("algorithm", [hashes.SHA256(), hashes.SHA384(), hashes.SHA512()])
    @pytest.mark.parametrize(("kind", "pss"), [("P-256", False), ("2048", False), ("2048", True)])
    def test_is_verified_whatever_the_hash(self, kind: str, pss: bool, algorithm: Hash) -> None:
        root = authority(key=new_key(kind))
        assert verified(root, seal(root, hash_algorithm=algorithm, pss=pss)).anchor.raw == root.der

    def test_may_have_authorities_between_and_ends_with_the_first_of_them(self) -> None:
        root = authority(path_length=1)
        middle = authority("Middle", root, path_length=0, end=NOW + timedelta(days=3))
        chain = verified(root, seal(middle), middle)
        assert chain.not_after_s == NOW_S + 3 * 86_400

    def test_holds_in_the_first_and_in_the_last_second_of_its_validity(self) -> None:
        root = authority()
        leaf = seal(root, begin=NOW, end=NOW + timedelta(seconds=10))
        assert verified(root, leaf, time_s=NOW_S).anchor.raw == root.der
        assert verified(root, leaf, time_s=NOW_S + 10).anchor.raw == root.der
        assert "not valid yet" in refusal(root, leaf, time_s=NOW_S - 1)
        assert "expired" in refusal(root, leaf, time_s=NOW_S + 11)

    def test_is_found_among_anchors_of_one_name(self) -> None:
        old, new = authority(), authority()
        anchors = [read_anchor(old.der), read_anchor(new.der)]
        assert verify_chain([seal(new).der], anchors, NOW_S).anchor.raw == new.der


class TestACertificateThatMerelyCarriesTheRightName:
    def test_is_refused_when_it_signed_itself(self) -> None:
        assert "none of the league's trust anchors" in refusal(authority(), seal(None))

    def test_is_refused_when_its_authority_is_an_impostor_of_the_same_name(self) -> None:
        assert "did not sign it" in refusal(authority(), seal(authority()))

    def test_is_refused_when_the_impostor_sends_its_own_authority_along(self) -> None:
        real, impostor = authority(), authority()
        assert "did not sign it" in refusal(real, seal(impostor), impostor)

    def test_is_refused_when_an_honest_seal_s_key_issued_it(self) -> None:
        root = authority()
        honest = seal(root, "VATDE-1")
        assert "no certificate of an authority" in refusal(root, seal(honest), honest)

    def test_is_refused_when_somebody_else_s_chain_follows_it(self) -> None:
        root = authority()
        middle = authority("Middle", root)
        assert "is not the issuer" in refusal(root, seal(None), middle)

    def test_is_refused_when_a_byte_of_it_was_changed(self) -> None:
        root = authority()
        leaf = seal(root, "VATES-12345679")
        forged = leaf.der.replace(b"VATES-12345679", ORGANIZATION.encode())
        with pytest.raises(Refused, match="did not sign it"):
            verify_chain([forged], [read_anchor(root.der)], NOW_S)

    @pytest.mark.parametrize(
        "usages", [Usages(key_encipherment=True), Usages(digital_signature=True, key_cert_sign=True)]
    )
    def test_is_refused_when_its_key_is_for_something_else(self, usages: Usages) -> None:
        root = authority()
        assert "key usage" in refusal(root, seal(root, usages=usages))

    @pytest.mark.parametrize(
        "purposes",
        [
            [ExtendedKeyUsageOID.SERVER_AUTH],
            [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
            [ExtendedKeyUsageOID.CODE_SIGNING],
            [ExtendedKeyUsageOID.TIME_STAMPING],
            [ExtendedKeyUsageOID.SMARTCARD_LOGON],
        ],
    )
    @pytest.mark.parametrize("is_critical", [True, False])
    def test_is_refused_when_it_is_one_of_a_web_site(
        self, purposes: list[x509.ObjectIdentifier], is_critical: bool
    ) -> None:
        root = authority()
        leaf = seal(root, further=[(x509.ExtendedKeyUsage(purposes), is_critical)])
        assert "not that of a seal" in refusal(root, leaf)

    def test_is_refused_without_a_key_usage(self) -> None:
        root = authority()
        leaf = issue(
            name("x", ORGANIZATION),
            new_key(),
            root,
            extensions=[(x509.SubjectKeyIdentifier(b"1"), False)],
        )
        assert "key usage" in refusal(root, leaf)

    def test_is_refused_when_it_says_that_it_is_for_a_web_site(self) -> None:
        root = authority()
        for number in (1, 3):  # electronic signatures, web sites
            assert "not for seals" in refusal(root, seal(root, further=[_qualified_as(number)]))
        assert verified(root, seal(root, further=[_qualified_as(2)])).anchor.raw == root.der


def _qualified_as(number: int) -> tuple[x509.ExtensionType, bool]:
    """A statement of qualified certificates: what it is for (ETSI EN 319 412-5, section 4.2.3)."""
    kinds = encoded(0x30, encoded(6, bytes.fromhex("04008e460106") + bytes((number,))))
    statement = encoded(0x30, encoded(6, bytes.fromhex("04008e460106")), kinds)
    return x509.UnrecognizedExtension(
        x509.ObjectIdentifier("1.3.6.1.5.5.7.1.3"), encoded(0x30, statement)
    ), False


class TestConstraintsOfAuthorities:
    def test_an_authority_that_may_have_none_below_it_has_none(self) -> None:
        root = authority(path_length=0)
        middle = authority("Middle", root)
        assert "may not have 1 authorities" in refusal(root, seal(middle), middle)

    def test_a_path_length_further_down_counts_too(self) -> None:
        root = authority()
        first = authority("First", root, path_length=0)
        second = authority("Second", first)
        assert "may not have 1 authorities" in refusal(root, seal(second), second, first)

    def test_a_chain_has_an_end(self) -> None:
        root = authority()
        chain = [authority("1", root)]
        for number in range(2, 6):
            chain.insert(0, authority(str(number), chain[0]))
        assert "1 to 4 certificates" in refusal(root, seal(chain[0]), *chain)

    def test_name_constraints_are_refused_and_not_ignored(self) -> None:
        root = authority()
        constraint = x509.NameConstraints([x509.DNSName("example")], None)
        for is_critical in (True, False):
            middle = issue(
                name("Middle"),
                new_key(),
                root,
                extensions=[
                    (x509.BasicConstraints(ca=True, path_length=None), True),
                    (Usages(key_cert_sign=True).extension(), True),
                    (constraint, is_critical),
                ],
            )
            assert "2.5.29.30" in refusal(root, seal(middle), middle)

    def test_an_authority_for_web_sites_certifies_no_seals(self) -> None:
        root = authority()
        middle = issue(
            name("Middle"),
            new_key(),
            root,
            extensions=[
                (x509.BasicConstraints(ca=True, path_length=None), True),
                (Usages(key_cert_sign=True).extension(), True),
                (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            ],
        )
        assert "other purposes" in refusal(root, seal(middle), middle)

    def test_an_authority_says_critically_that_it_is_one_and_may_sign(self) -> None:
        for extensions in (
            [
                (x509.BasicConstraints(ca=True, path_length=None), False),
                (Usages(key_cert_sign=True).extension(), True),
            ],
            [(x509.BasicConstraints(ca=True, path_length=None), True)],
            [
                (x509.BasicConstraints(ca=False, path_length=None), True),
                (Usages(key_cert_sign=True).extension(), True),
            ],
        ):
            with pytest.raises(Refused):
                read_anchor(issue(name("x"), new_key(), None, extensions=extensions).der)

    def test_an_expired_authority_certifies_nothing(self) -> None:
        root = authority(end=NOW - timedelta(days=1))
        assert "expired" in refusal(root, seal(root))
        root = authority()
        middle = authority("Middle", root, end=NOW - timedelta(days=1))
        assert "expired" in refusal(root, seal(middle), middle)
