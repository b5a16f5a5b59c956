"""The rows that other layers keep in the store, beside the entities and in the same transactions."""
