"""`python -m hansa.cli` is `hansa`."""

from hansa.cli import main

raise SystemExit(main())
