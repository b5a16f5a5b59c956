"""Whose signature a credential carries, and whether that one is trusted for it.

*Who* is shown by one of three things, in this order:

    registered keys    the league's registry has keys for the DID that is named: it was one of them
    x5c                a chain of certificates from the key to a configured anchor; the organizationIdentifier
                       in the certificate is the one in the did:elsi that the credential names
    the DID            did:key, did:jwk, did:web

A certificate alone proves nothing without a chain: whoever makes one can write any name into it. Its key
usage has digitalSignature, as profiles of EUDI wallets demand; a seal for documents alone (nonRepudiation)
issues no credentials. A header's key or address is never used. A DID is resolved only after the registry
has been asked whether it is trusted at all, so that a stranger's credential makes nobody fetch anything.

*What for*: where there is a registry of trusted issuers, an issuer needs a grant for each type of the
credential; only types that the operator named are trusted by the chain alone, as those of public identity
documents. Without a registry, the chain to an anchor is what trust consists of, and a DID without a chain is
trusted for nothing. A mandate is given by its mandator: whoever has a seal can issue mandates of its own
organisation, and of no other unless a grant says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import msgspec
from cryptography import x509

from hansa.core.certificates import Certificate, VerifiedChain, is_elsi
from hansa.core.certificates.algorithms import CertifiedKey
from hansa.core.certificates.elsi import elsi_did
from hansa.core.certificates.extensions import DIGITAL_SIGNATURE, SEAL_PURPOSES
from hansa.core.errors import Code, HansaError, Refused
from hansa.core.identifiers import is_did
from hansa.core.keys import raw_public_key
from hansa.core.trust.issuers import TrustedIssuer
from hansa.identity.credentials.issuers.dids import DidKeys
from hansa.identity.credentials.issuers.registry import TrustedIssuers, check_granted
from hansa.identity.credentials.refusals import Steps
from hansa.identity.credentials.times import CLOCK_LEEWAY_S
from hansa.identity.foreign_jws import ForeignJws, chain_of_header, is_signed_by


class ProvedIssuer(msgspec.Struct, frozen=True):
    """Who signed something."""

    id: str
    """A DID; for a certificate without an organization identifier, `x509:` and its fingerprint."""
    name: str
    """For people: of the registry or the certificate; empty when there is none."""
    key: CertifiedKey
    proof: Literal["certificate", "did", "registry"]
    """What shows that the key is that one's."""
    anchor: str = ""
    """Fingerprint of the trust anchor, in hex; empty when there is none."""


class IssuerTrust:
    """Decides who signed, and whether that one is trusted.

    Args:
        anchors: Authorities whose certificates are accepted.
        registry: Who may issue what; None: whoever has a chain to an anchor may issue anything.
        dids: Resolves DIDs.
        anchored_types: Types for which a chain to an anchor is enough beside a registry.
    """

    def __init__(
        self,
        anchors: Sequence[Certificate],
        registry: TrustedIssuers | None,
        dids: DidKeys,
        anchored_types: Collection[str] = (),
    ) -> None:
        self._anchors = tuple(anchors)
        self._registry = registry
        self._dids = dids
        self._anchored_types = frozenset(anchored_types)

    def adopt(self, anchors: Sequence[Certificate]) -> None:
        """Accept the certificates of these authorities from now on, and of no others."""
        self._anchors = tuple(anchors)

    async def signer(
        self,
        jws: ForeignJws,
        claimed: str | None,
        now_s: int,
        steps: Steps,
        purposes: frozenset[bytes] = SEAL_PURPOSES,
    ) -> ProvedIssuer:
        """Who signed something, which is verified.

        Args:
            jws: A credential, or a status list.
            claimed: Whom it names as its issuer.
            now_s: Seconds since 1970.
            steps: Gets what each check showed.
            purposes: Extended key usages, of which its certificate has one, if it names any.

        Raises:
            Refused: `Code.CREDENTIAL_ISSUER_UNTRUSTED`, or `Code.CREDENTIAL_ALTERED`, when the signature is
                not that one's.
            Unavailable: When it cannot be told now.
        """
        registered = await self._registered(claimed)
        if registered is not None and registered.keys:
            issuer = _by_registered_key(jws, registered)
        elif "x5c" in jws.header:
            issuer = await self._by_certificate(jws, claimed, now_s, purposes)
        else:
            issuer = await self._by_did(jws, claimed, registered, now_s)
        steps.note(
            f"issuer {issuer.id} by {issuer.proof}, {issuer.key.kind} key, anchor {issuer.anchor or 'none'}"
        )
        if not is_signed_by(jws, issuer.key):
            raise Refused(Code.CREDENTIAL_ALTERED, f"the key of {issuer.id} did not sign it")
        steps.note(f"the signature is that of {issuer.id} ({jws.algorithm})")
        return issuer

    async def check_may_issue(
        self,
        issuer: ProvedIssuer,
        types: Sequence[str],
        subject: Mapping[str, Any],
        mandator: str | None,
        now_s: int,
        steps: Steps,
    ) -> None:
        """Check that an issuer is trusted for a credential.

        Args:
            issuer: Who signed it.
            types: Of the credential.
            subject: Its claims.
            mandator: Identifier of the organisation that gives the mandate in it; None: there is none.
            now_s: Seconds since 1970.
            steps: Gets what each check showed.

        Raises:
            Refused: `Code.CREDENTIAL_TYPE_UNTRUSTED` or `Code.CREDENTIAL_ISSUER_UNTRUSTED`.
            Unavailable: When it cannot be told now.
        """
        is_for_another = mandator is not None and issuer.id != elsi_did(mandator)
        if issuer.anchor and (self._registry is None or self._anchored_types.issuperset(types)):
            if is_for_another:
                raise Refused(
                    Code.CREDENTIAL_TYPE_UNTRUSTED, f"{issuer.id} gives a mandate in the name of {mandator}"
                )
            steps.note(f"the trust anchor is enough for {', '.join(types)}")
            return
        registered = await self._registered(issuer.id)
        if registered is None:
            raise _untrusted(f"{issuer.id} is none of the trusted issuers")
        check_granted(registered, types, subject, now_s, is_for_another=is_for_another)
        steps.note(f"{issuer.id} is a trusted issuer of {', '.join(types)}")

    async def _registered(self, did: str | None) -> TrustedIssuer | None:
        if self._registry is None or did is None or not is_did(did):
            return None
        return await self._registry.of_did(did)

    async def _by_certificate(
        self, jws: ForeignJws, claimed: str | None, now_s: int, purposes: frozenset[bytes]
    ) -> ProvedIssuer:
        try:
            chain = chain_of_header(jws.header, self._anchors, now_s, CLOCK_LEEWAY_S, purposes)
        except Refused as error:
            raise _untrusted(error.message) from error
        if DIGITAL_SIGNATURE not in chain.leaf.extensions.usages:
            raise _untrusted(
                "the key usage of its certificate has no digitalSignature, which credentials need"
            )
        subject = chain.leaf.subject
        identifier = subject.organization_identifier
        proved = f"x509:{chain.leaf.fingerprint}" if identifier is None else elsi_did(identifier)
        if claimed is not None and claimed != proved:
            if not is_did(claimed):
                _check_address(chain, claimed)
            elif is_elsi(claimed):
                raise _untrusted(f"it names {claimed} as its issuer, and its certificate is that of {proved}")
            elif await self._did_key(claimed, jws.kid, now_s) != chain.leaf.key:
                raise _untrusted(f"its certificate is not for the key of {claimed}")
            else:
                proved = claimed
        return ProvedIssuer(
            proved, subject.common_name, chain.leaf.key, "certificate", chain.anchor.fingerprint
        )

    async def _by_did(
        self, jws: ForeignJws, claimed: str | None, registered: TrustedIssuer | None, now_s: int
    ) -> ProvedIssuer:
        if claimed is None or not is_did(claimed):
            raise _untrusted("it has no certificates (`x5c`), and names no DID as its issuer")
        if registered is None:
            raise _untrusted(f"{claimed} is none of the trusted issuers, and has no certificates (`x5c`)")
        key = await self._did_key(claimed, jws.kid, now_s)
        return ProvedIssuer(claimed, registered.name, key, "did")

    async def _did_key(self, did: str, kid: str | None, now_s: int) -> CertifiedKey:
        try:
            return await self._dids.key(did, kid, "assertionMethod", now_s)
        except HansaError as error:
            raise _untrusted(error.message) from error


def _by_registered_key(jws: ForeignJws, registered: TrustedIssuer) -> ProvedIssuer:
    """The issuer, if it was one of its registered keys that signed."""
    named = [jwk for jwk in registered.keys if jws.kid in {jwk.kid, f"{registered.did}#{jwk.kid}"}]
    for jwk in named or registered.keys:
        key = CertifiedKey("P-256" if jwk.kty == "EC" else "Ed25519", raw_public_key(jwk))
        if is_signed_by(jws, key):
            return ProvedIssuer(registered.did, registered.name, key, "registry")
    raise Refused(Code.CREDENTIAL_ALTERED, f"none of the registered keys of {registered.did} signed it")


def _check_address(chain: VerifiedChain, claimed: str) -> None:
    """Check that an address that is named as the issuer does not contradict the certificate (SD-JWT VC, 2.5).

    A certificate that names no address says nothing about it, and then the certificate alone says who the
    issuer is.
    """
    try:
        extensions = x509.load_der_x509_certificate(chain.leaf.raw).extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    except ValueError as error:
        raise _untrusted("the alternative names of its certificate cannot be read") from error
    addresses = names.get_values_for_type(x509.UniformResourceIdentifier)
    hosts = names.get_values_for_type(x509.DNSName)
    host = claimed.removeprefix("https://").partition("/")[0].partition(":")[0].lower()
    is_named = claimed in addresses or (claimed.startswith("https://") and host in map(str.lower, hosts))
    if (addresses or hosts) and not is_named:
        raise _untrusted(f"it names {claimed} as its issuer, and its certificate names other addresses")


def _untrusted(what: str) -> Refused:
    return Refused(Code.CREDENTIAL_ISSUER_UNTRUSTED, what)
