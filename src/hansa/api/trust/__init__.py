"""What the league trusts and allows: trusted issuers, trust anchors, certificates, policies."""
