"""Writes to replicas: sent to the origin, queued while that cannot be reached, and seen here afterwards.

    forwarder     sends a write now, or has it queued; within bounds for each caller and each origin
    exchange      one request to the origin and what its answer means
    queue         writes that wait, durable, with back-off and an end
    pseudonyms    what callers are called to other members
    positions     waits until an event has had its effect here

An origin that is slow, silent, wrong or gone delays writes to its own entities alone. What it says is taken
as one of a closed list of codes; its words are never passed on. A write is sent with an idempotency key,
the client's or a new one, so that repeating it is harmless: the outcome of an exchange that failed is
unknown.
"""
