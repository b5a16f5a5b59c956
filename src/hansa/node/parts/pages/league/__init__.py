"""What the operators' pages about the league show and do, from the parts of the marketplace."""
