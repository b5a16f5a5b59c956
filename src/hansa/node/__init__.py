"""A marketplace as a whole: its settings, its folder, how its parts are put together, and how it runs."""
