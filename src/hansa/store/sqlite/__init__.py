"""The catalogue store on SQLite."""
