"""The league as its members have decided it, and what they decide now, for people and programs."""
