"""The older path of `jitload.door`, kept for programs that name it."""

from __future__ import annotations

from jitload.door import compile as compile
from jitload.door import compile_request as compile_request
from jitload.door import seal as seal
from jitload.inquiry import explain as explain
from jitload.inquiry import look_up as look_up
