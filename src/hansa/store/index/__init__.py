"""What of an entity is indexed: the plan of each collection, the paths into a body, and the extraction of their values."""
