"""What wallets prove: that they have the keys that credentials are bound to.

keys     proofs of keys
nonces   which every proof has
"""

from hansa.identity.issuing.proofs.keys import proved_keys
from hansa.identity.issuing.proofs.nonces import ProofNonces

__all__ = ["ProofNonces", "proved_keys"]
