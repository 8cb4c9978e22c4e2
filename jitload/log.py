"""The logger "jitload": warnings of caches and compilers, and what happened to a request.

`logging` costs 10 ms to import, so it comes in with the first line that is written, not before.
"""

from __future__ import annotations

import sys

from jitload.errors import printable
from jitload.lazy import lazy
from jitload.settings.environment import read_log_level

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
else:
    logging = lazy("logging")

_said: set[object] = set()
_handled = False


def warn_once(subject: object, message: str) -> None:
    """Log a warning, once per process for the same subject."""
    if subject not in _said:
        _said.add(subject)
        warn(message)


def warn(message: str) -> None:
    """Log a warning."""
    _logger().warning("%s", printable(message))


def debug(message: str, *arguments: object) -> None:
    """Log a detail; costs nothing unless somebody logs."""
    if "logging" in sys.modules or read_log_level():
        _logger().debug(message, *arguments)


def _logger() -> logging.Logger:
    global _handled

    logger = logging.getLogger("jitload")
    level = read_log_level()
    if level and not _handled:
        _handled = True
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("jitload %(levelname)s: %(message)s"))
        logger.addHandler(handler)
    if level and logging.getLevelName(logger.level) != level:
        logger.setLevel(level)
    return logger
