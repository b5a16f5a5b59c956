"""What all layers share: canonical JSON, hashlinks, keys, events, Merkle trees, errors, limits, the clock."""
