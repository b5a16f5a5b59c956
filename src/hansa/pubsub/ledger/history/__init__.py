"""The history of a ledger that began with a snapshot: fetched from others beside voting, and checked.

segment   4,096 events with their batches, as one sequence of bytes; it never changes once it is full
filling   segments become rows, between two requests of the engine

Events are read and followed as far as they are here without a gap (`missing` in the state's tables). New
blocks go on meanwhile.
"""
