"""Step "smoke": what only hardware answers.

A check passes when the card does what jitload counts on; where the documentation leaves an answer open, it says which
one came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gpu.smoke import faults, frameworks, images, launches, limits

if TYPE_CHECKING:
    from collections.abc import Callable


def checks(short: bool) -> dict[str, Callable[[], Any]]:
    """What takes no context along first, and frameworks last."""
    del short
    parts = (images, launches, limits, frameworks, faults)
    return {name: check for part in parts for name, check in part.CHECKS.items()}
