"""Legal persons that are members of a league: their keys, certificates and seals."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey

from hansa.core.batches import BatchSigner
from hansa.core.canonical import hashlink
from hansa.core.events import EntityVersion, LifecycleEvent, encode_event, event_id, event_time
from hansa.core.governance.changes import MemberPut
from hansa.core.governance.possession import Certification, prove_possession, sealed_bytes
from hansa.core.identifiers import entity_key
from hansa.core.keys import SigningKey
from hansa.core.trust.certificates import certificate_text
from hansa.core.trust.changes import AnchorPut
from hansa.pubsub.ledger.rules.events import encode_events
from tests.support.certificates import ORGANIZATION, Issued, authority, new_key, seal
from tests.support.governed import CLOCK, TIME_MS, GovernedLeague, Governor

DID = f"did:elsi:{ORGANIZATION}"
BEGIN, END = CLOCK.now() - timedelta(days=30), CLOCK.now() + timedelta(days=300)
ROOT = authority(begin=BEGIN, end=END)
PUT_ROOT = AnchorPut(certificate_text(ROOT.der))


class LegalPerson(Governor):
    """A candidate with a did:elsi and certified keys."""

    def __init__(self, league: str, did: str = DID, name: str = "goodair") -> None:
        super().__init__(name, league)
        self.did = did
        self.use_new_key()
        self._versions = 0
        self.batch_seq = 0

    def use_new_key(self) -> None:
        self.private = new_key()
        pem = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self.key = SigningKey(ECKey.import_key(pem))

    def certificate(self, issuer: Issued | None = ROOT, **options: Any) -> Issued:
        return seal(issuer, **{"key": self.private, "begin": BEGIN, "end": END} | options)

    def proof(self, *chain: Issued) -> str:
        texts = tuple(certificate_text(one.der) for one in chain)
        return prove_possession(
            self.key, self.did, self.league, "signing", TIME_MS // 1000, Certification(texts)
        )

    def put(self, *chain: Issued) -> MemberPut:
        return MemberPut(self.candidacy(keys=(self.proof(*chain),)))

    def batch(self, league: GovernedLeague) -> bytes:
        self._versions += 1
        entity = EntityVersion(entity_key(self.did, str(self._versions)), "Category", 1)
        time = event_time(CLOCK.now() + timedelta(milliseconds=league.time_ms - TIME_MS))
        link = hashlink(b"%d" % self._versions)
        event = LifecycleEvent(
            event_id(self.did, entity, time), "categoryCreateEvent", time, self.did, entity, link
        )
        self.batch_seq += 1
        contents = [encode_event(event)]
        return encode_events(BatchSigner(self.key, self.did, CLOCK).sign(contents, self.batch_seq), contents)


RSA_SEAL = new_key("2048")
"""Of a seal in a module of its provider: it signs nothing on the ledger."""


class SealedPerson(LegalPerson):
    """A candidate whose seal has an RSA key, and signs that its key on the ledger is its own."""

    def sealed(
        self,
        *chain: Issued,
        by: Any = RSA_SEAL,
        algorithm: str = "RS256",
        named: str = "",
        league: str = "",
        key: SigningKey | None = None,
        did: str = "",
        changed: bool = False,
    ) -> MemberPut:
        signed = sealed_bytes(did or self.did, (key or self.key).public, league or self.league, algorithm)
        scheme = padding.PSS(padding.MGF1(SHA256()), 32) if algorithm == "PS256" else padding.PKCS1v15()
        signature = bytearray(by.sign(signed, scheme, SHA256()))
        signature[-1] ^= changed
        text = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
        certification = Certification(
            tuple(certificate_text(one.der) for one in chain), text, named or algorithm
        )
        proof = prove_possession(self.key, self.did, self.league, "signing", TIME_MS // 1000, certification)
        return MemberPut(self.candidacy(keys=(proof,)))


def rsa_seal(issuer: Issued | None = ROOT, **options: Any) -> Issued:
    return seal(issuer, **{"key": RSA_SEAL, "begin": BEGIN, "end": END} | options)
