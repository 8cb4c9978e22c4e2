"""The older path of `jitload.headers.record`, kept for programs that name it."""

from __future__ import annotations

from jitload.headers.record import Variant
from jitload.headers.record import decode_record as decode_manifest
from jitload.headers.record import encode_record as encode_manifest

__all__ = ["Variant", "decode_manifest", "encode_manifest"]
