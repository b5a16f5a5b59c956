"""The members of a simulated league: marketplaces that can crash anywhere, and one that lies."""
