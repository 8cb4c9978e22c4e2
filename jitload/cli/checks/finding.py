"""What a check says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    Status = Literal["ok", "missing", "problem"]


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        status: "ok"; "missing": it is not there, which may be as intended; "problem": it is there and does not work.
        found: what was found, for people.
        fix: what to do where it is not ok: a command or a setting.
        details: the same and more, for programs; JSON values only.
    """

    status: Status
    found: str
    fix: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


def ok(found: str, **details: object) -> Finding:
    """It works."""
    return Finding("ok", found, details=details)


def missing(found: str, fix: str, **details: object) -> Finding:
    """It is not there."""
    return Finding("missing", found, fix, details)


def problem(found: str, fix: str, **details: object) -> Finding:
    """It is there, and does not work."""
    return Finding("problem", found, fix, details)
