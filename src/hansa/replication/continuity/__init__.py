"""Whether a store and a ledger belong together, and what follows when one knows what the other does not."""
