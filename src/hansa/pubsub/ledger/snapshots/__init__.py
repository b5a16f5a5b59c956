"""Snapshots: the state of a ledger at a height, from which another member goes on without its history.

manifest    what a snapshot consists of, bound to the `app_hash` of its height
stream      the state as one sequence of bytes, written and read piece by piece
taking      snapshots of this member's ledger, taken beside its blocks
folder       those that are stored here, and their chunks
reading     those that are stored here, for strangers over HTTP
restoring   a snapshot of others becomes the state, after every piece of it was compared with `app_hash`

Two things are needed of a ledger: its *state*, to judge and to vote, and its *history*, to follow. A snapshot
has the state alone. History is fetched beside voting (`hansa.pubsub.ledger.history`).
"""
