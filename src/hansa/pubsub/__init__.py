"""The Trusted Publish/Subscribe layer: a Byzantine fault tolerant bus of signed lifecycle events."""
