"""Processes that compile and never ask the driver (workers) keep their images too."""

import os

if os.environ.get("CHECKING_DRIVER"):
    from compiled_images import watch

    watch()
