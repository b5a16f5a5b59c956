"""What `hansa receipt`, `verify` and `audit` do."""
