"""What a member that joins a running league requests: how to begin, and all events.

bootstrap   the genesis, the addresses of engines, the snapshots
history     events in segments, for members that began with a snapshot
"""
