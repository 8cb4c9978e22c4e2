"""The logger "jitload": warnings of caches and compilers, and what happened to a request.

`logging` costs 10 ms to import, so it comes in with the first line that is written, not before.
"""

from __future__ import annotations

import functools
import sys

from jitload.errors import printable
from jitload.lazy import lazy
from jitload.settings.environment import read_log_level

TYPE_CHECKING = False
if TYPE_CHECKING:
    import logging
else:
    logging = lazy("logging")

#: The subjects of which a warning was logged; it comes once in a process.
said: set[object] = set()


def warn_once(subject: object, message: str) -> None:
    """Log a warning, once per process for the same subject."""
    if subject not in said:
        said.add(subject)
        warn(message)


def warn(message: str) -> None:
    """Log a warning."""
    _logger().warning("%s", printable(message))


def debug(message: str, *arguments: object) -> None:
    """Log a detail; costs nothing unless somebody logs."""
    if "logging" in sys.modules or read_log_level():
        _logger().debug(message, *arguments)


def _logger() -> logging.Logger:
    logger = logging.getLogger("jitload")
    level = read_log_level()
    if level:
        logger.addHandler(_handler())  # one that is there is not added again
    if level and logging.getLevelName(logger.level) != level:
        logger.setLevel(level)
    return logger


@functools.cache
def _handler() -> logging.Handler:
    class ToStderr(logging.Handler):
        """Writes to what is `sys.stderr` at the time: it may be redirected, and what it was be closed, meanwhile."""

        def emit(self, record: logging.LogRecord) -> None:
            try:
                sys.stderr.write(f"{self.format(record)}\n")
                sys.stderr.flush()
            except Exception:  # noqa: BLE001 - as logging has it
                self.handleError(record)

    handler = ToStderr()
    handler.setFormatter(logging.Formatter("jitload %(levelname)s: %(message)s"))
    return handler
