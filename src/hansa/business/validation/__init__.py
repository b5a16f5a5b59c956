"""Bodies held to the models of their types."""
