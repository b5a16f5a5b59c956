"""Writes that are repeated, and writes that are forwarded.

idempotency      what was written under idempotency keys         (business.operations)
delegations      delegations of other members that were used     (api.writes)
queued_writes    writes that wait for their origins              (replication.forwarding)
"""
