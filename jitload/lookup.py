"""The older path of what `jitload.door` looks up, kept for programs that name it."""

from __future__ import annotations

from jitload.door import explain as explain
from jitload.door import is_sealed as is_sealed
from jitload.door import look_up as look_up
from jitload.door import seal as seal
