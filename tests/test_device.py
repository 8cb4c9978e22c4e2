"""What runs kernels: the setting, or what is there."""

from __future__ import annotations

import jitload
from jitload.device import resolve_device


def test_resolve_device():
    for device in ("cpu", "cuda"):
        with jitload.configure(device=device):
            assert resolve_device() == device
