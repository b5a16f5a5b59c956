"""How writes become durable."""
