"""What members tell one another of what they publish and follow."""
