"""What is known of the headers of a compile, before it and after it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from jitload.headers.clock import clock_word
from jitload.headers.closure import Closure, line_of
from jitload.headers.includes import loose_paths
from jitload.headers.record import variant_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jitload.headers.record import Variant
    from jitload.source.request import CompileRequest
    from jitload.values import Toolchain


class Survey:
    """The headers of a request, and what a compile with them leaves behind.

    Args:
        request: whose headers.
        toolkit: (id, directory) of the toolkit's headers.
        toolchain: the compiler.

    Attributes:
        closure: the headers.
        variant: what stands for them in a closure record.
        unsharable: why the output must not be kept for others, or None.
    """

    def __init__(self, request: CompileRequest, toolkit: Iterable[tuple[str, str]], toolchain: Toolchain) -> None:
        self.closure = Closure(request, toolkit)
        self.unsharable: str | None = None
        self._toolchain = toolchain
        self.variant: Variant
        self.renew()

    def renew(self) -> None:
        """Look again, after a compile: at headers that macros name, for which nobody could look before."""
        self.unsharable = self.unsharable or unsharable(self.closure)
        self.variant = variant_of(self.closure, self._toolchain)


def unsharable(closure: Closure) -> str | None:
    """Why the output of a compile with these headers must not be kept for others, or None.

    `__DATE__`, `__TIME__` and `__TIMESTAMP__` in code make it depend on when it was compiled; a path that macros
    put together from "/" could be one that NVRTC opens by itself, unseen and not hashed.
    """
    standards = [option.removeprefix("--std=") for option in closure.request.options if option.startswith("--std=")]
    for where, text in closure.users_texts():
        clock = clock_word(text, standards[-1] if standards else "")
        if clock is not None:
            return f"{clock[0]} in {where}, line {clock[1]}"
    if any(header.scan.macro_includes for header in closure.files() if header.is_users):
        for where, text in closure.users_texts():
            for first, position in loose_paths(text):
                if os.path.lexists(f"/{first}"):
                    line = line_of(text, position)
                    return f"an #include of a macro, perhaps of a path made of /{first} in {where}, line {line}"
                closure.absent.add(("absolute", f"{first}/"))
    return None
