"""`hansa league`: what a league has decided, proposals, votes, and what a member states about itself."""
