"""The ledger: the application behind the consensus engine, and what it says over the wire."""
