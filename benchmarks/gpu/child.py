"""The process that runs the checks of one module: `python -m gpu.child PIPE`, with the orders as JSON on stdin.

It says over the pipe which checks there are, which one begins and what came of it, so that its parent knows what it was
at when it dies or hangs.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from typing import Any

from gpu.check import Time, ask, limit_of


def main() -> None:
    """Run what is asked for, one check after the other, until the GPU's context is lost."""
    pipe = int(sys.argv[1])
    orders = json.loads(sys.stdin.read())

    def say(**words: Any) -> None:
        os.write(pipe, json.dumps(words, default=str).encode() + b"\n")

    Time.until, Time.slack = time.monotonic() + orders["seconds"], orders["slack"]
    checks = importlib.import_module(orders["module"]).checks(orders["short"])
    say(names=list(checks))
    for name, check in checks.items():
        if name in orders["done"]:
            continue
        say(begin=name, seconds=limit_of(check))
        say(result=ask(name, check))
        if context_is_lost():
            break
    else:
        say(end=True)
    sys.stdout.flush()
    os._exit(0)  # a context that is lost, or a library's own exit handlers, must not hold the day up


def context_is_lost() -> bool:
    """Whether an earlier kernel took the context along, so that whatever follows in this process would fail too."""
    driver = sys.modules.get("jitload.cuda.driver")
    if driver is None or not driver.is_available():
        return False
    try:
        return bool(driver.ensure_context().cuCtxSynchronize()[0])
    except Exception:  # noqa: BLE001 - whoever cannot say does not go on
        return True


if __name__ == "__main__":
    main()
