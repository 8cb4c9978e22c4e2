"""The stamp of a file: whether it is still the one that was read."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os

    #: Device, inode, size, time of change of the text and of the file, in nanoseconds.
    Stamp = tuple[int, int, int, int, int]


def file_stamp(status: os.stat_result) -> Stamp:
    """What tells a file from its earlier or later self without reading it."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
