"""What wallets prove, and what their providers attest.

    keys           proofs of the keys that credentials are bound to
    nonces         which every proof has
    attestations   by providers of wallets, of them and of their keys

Nothing is fetched for any of it.
"""

from hansa.identity.issuing.proofs.attestations import WalletAttestations
from hansa.identity.issuing.proofs.keys import proved_keys
from hansa.identity.issuing.proofs.nonces import ProofNonces

__all__ = ["ProofNonces", "WalletAttestations", "proved_keys"]
