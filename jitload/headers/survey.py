"""What is known of the headers of a compile, before it and after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jitload.headers.closure import Closure
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
        self.unsharable = self.unsharable or self.closure.unsharable()
        self.variant = variant_of(self.closure, self._toolchain)
