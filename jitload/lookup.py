"""The older path of `jitload.inquiry` and of the seal, kept for programs that name it."""

from __future__ import annotations

from jitload.door import is_sealed as is_sealed
from jitload.door import seal as seal
from jitload.inquiry import explain as explain
from jitload.inquiry import look_up as look_up
