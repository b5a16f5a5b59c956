"""`hansa keys certify D CHAIN` of a member that runs: a certificate for its key, on the ledger.

The certificate is for the present key, which is renewed by it, or for the one that is to take its place
(`hansa keys request D --next`); then the present key stays valid for the overlap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from hansa.cli.durations import seconds_of
from hansa.cli.league.own_league import own_league
from hansa.cli.local import CLOCK
from hansa.cli.output import Output
from hansa.core.certificates import read_certificate
from hansa.core.errors import Code, Refused
from hansa.core.files import is_missing
from hansa.core.governance.possession import prove_possession
from hansa.core.governance.statements import KeyRotate
from hansa.core.keys import SigningKey, raw_public_key
from hansa.core.trust.certificates import certificate_text
from hansa.node.folder import NEXT_MEMBER_KEY, adopt_member_key


def certify_member_key(folder: Path, chain: Sequence[bytes], overlap: str, output: Output) -> None:
    """Register the certificate of a member's key.

    Raises:
        Refused: `Code.CERTIFICATE_INVALID`, or the code of the rule that it breaks.
        Unavailable: The marketplace does not run, or the league does not decide now; to be repeated.
    """
    overlap_s = int(seconds_of(overlap))

    async def run() -> None:
        async with own_league(folder) as mine:
            key = _key_of(chain[0], folder, mine.key)
            x5c = tuple(map(certificate_text, chain))
            proof = prove_possession(
                key, mine.did, mine.league_id, "signing", int(CLOCK.now().timestamp()), x5c
            )
            is_next = key.kid != mine.key.kid
            action = KeyRotate(proof, overlap_s, mine.key.kid) if is_next else KeyRotate(proof)
            signer = mine.signer
            governed = await mine.govern("member", lambda seq: signer.state(action, seq=seq))
            if is_next:
                adopt_member_key(folder, (await mine.bus.league()).member(mine.did) or mine.me)
            facts = {"kid": key.kid, "registered": f"in block {governed.height:,}"}
            output.document(facts) if output.as_json else output.facts(facts)

    asyncio.run(run())


def _key_of(certificate: bytes, folder: Path, present: SigningKey) -> SigningKey:
    """The key that a certificate is for."""
    keys = [present]
    if not is_missing(folder / NEXT_MEMBER_KEY):
        keys.append(SigningKey.load(folder / NEXT_MEMBER_KEY))
    certified = read_certificate(certificate).key.raw
    key = next((key for key in keys if raw_public_key(key.public) == certified), None)
    if key is None:
        raise Refused(
            Code.CERTIFICATE_INVALID, f"The first certificate is not for a key in {folder / 'keys'}."
        )
    return key
