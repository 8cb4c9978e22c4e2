"""Why a value was turned down, before it is known which argument it was."""

from __future__ import annotations


class Misfit(Exception):  # noqa: N818 - never leaves jitload.launch: it becomes an ArgumentError there
    """A value does not fit a parameter; the text says what came and what to do instead."""
