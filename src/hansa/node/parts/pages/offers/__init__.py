"""What the pages of those who offer something read and write: store, policies, operations, other members."""
