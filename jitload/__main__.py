"""`python -m jitload`: the same command as `jitload`."""

from __future__ import annotations

from jitload.cli import main

if __name__ == "__main__":
    main()
