"""What of an entity is indexed: the plan of each collection, paths into a body, and extraction of values."""
