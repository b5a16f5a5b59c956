"""The rules by which transactions of governance are refused."""

from __future__ import annotations

from typing import Final

from hansa.core.errors import Code
from hansa.pubsub.ledger.results import Rule

SENDER_UNKNOWN: Final = Rule(31, Code.FORBIDDEN, "the sender is not a member of the league, or not any more")
SENDER_SEQUENCE: Final = Rule(
    32, Code.BATCH_OUTDATED, "`seq` is not greater than that of the sender's last proposal, vote or statement"
)
SENDER_KEY: Final = Rule(33, Code.EVENT_SIGNATURE_INVALID, "the sender has no key of the name in `kid`")
SENDER_SIGNATURE: Final = Rule(
    34, Code.EVENT_SIGNATURE_INVALID, "the signature does not verify with the key of the sender that it names"
)
LEAGUE: Final = Rule(35, Code.INVALID, "what is signed is meant for another league")
QUOTA: Final = Rule(
    36, Code.QUOTA_EXCEEDED, "the sender would exceed its quota of proposals, votes and statements"
)
PROPOSAL_SIZE: Final = Rule(37, Code.TRANSACTION_TOO_LARGE, "the proposal exceeds `proposal_size_max_bytes`")
EXPIRY: Final = Rule(
    38, Code.INVALID, "the proposal has expired, or would be open for longer than the league allows"
)
TOO_MANY: Final = Rule(39, Code.QUOTA_EXCEEDED, "as many proposals are open as may be")
PROPOSAL_ID: Final = Rule(40, Code.CONFLICT, "the proposal's id was used before")
BASE: Final = Rule(
    41, Code.CONFLICT, "`base` does not name exactly the elements that the changes touch, as they are now"
)
PROPOSAL_UNKNOWN: Final = Rule(42, Code.NOT_FOUND, "there is no open proposal of that hash")
VOTER: Final = Rule(43, Code.FORBIDDEN, "the voter has no voting power")
CHANGE: Final = Rule(44, Code.INVALID, "a change or a statement cannot take effect on this state")
POSSESSION: Final = Rule(
    45, Code.EVENT_SIGNATURE_INVALID, "a proof of possession is not by the key, or for another use"
)
TAKEN: Final = Rule(46, Code.CONFLICT, "it belongs to somebody, now or before: it is unique over all history")
POWER_NONE: Final = Rule(47, Code.CONFLICT, "the league would have no validator")
POWER_THIRD: Final = Rule(
    48, Code.CONFLICT, "one of four or more validators would have more than a third of the power"
)
POWER_CHANGED: Final = Rule(
    49, Code.CONFLICT, "more than a third of the voting power would change within `trust_period_s`"
)

SENDER_RULES: Final = (SENDER_UNKNOWN, SENDER_SEQUENCE, SENDER_KEY, SENDER_SIGNATURE, LEAGUE, QUOTA)
CHANGE_RULES: Final = (CHANGE, POSSESSION, TAKEN, POWER_NONE, POWER_THIRD, POWER_CHANGED)
