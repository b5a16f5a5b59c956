"""The validator of this marketplace: when it signs, when it observes, and how its engine is repaired.

observing   the mark in a folder whose validator must not sign yet
absence     whether the ledger shows that nobody signs with the validator's key
guard       decides at every start of the engine, and ends the observing
repair      gets an engine over what stops it
"""
