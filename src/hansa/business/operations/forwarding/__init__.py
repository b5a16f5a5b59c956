"""Writes that are repeated, and writes that are forwarded to the origin of their entity.

terms        under which idempotency key a write is carried out, and whether it may be queued
repeats      what was written under which key
key_time     by which such keys expire
sending      a write to a replica, for the origin
receiving    a write that another member forwarded, carried out here
"""
