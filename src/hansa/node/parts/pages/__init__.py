"""The web pages, put together (`portal`), and what they say of the origins of entities (`origins`)."""
