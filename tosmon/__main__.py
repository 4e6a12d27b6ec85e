"""`python -m tosmon` is the command line."""

from __future__ import annotations

from tosmon.cli import main

if __name__ == "__main__":
    main()
