# The optional extension (_native.c).
from collections.abc import Callable

from typing_extensions import Self

from jitload.launch.row import Row

REVISION: int
MOST_PARAMETERS: int
SOURCES_DIGEST: str

class Plan:
    def __new__(cls, rows: tuple[Row, ...], /) -> Self: ...
    def learn(self, position: int, facts: tuple[object, ...], /) -> bool: ...
    def learn_number(self, kind: type, is_float: bool, /) -> None: ...
    def count_writes(self, function: Callable[[tuple[object, ...]], object], /) -> None: ...

class Launch:
    def __new__(
        cls,
        plan: Plan,
        slow: Callable[..., None],
        refused: Callable[[int, tuple[object, ...], int], None],
        follows: bool,
        /,
    ) -> Self: ...
    def arm(
        self, entry: int, cell: int, configuration: int, keep: object, device: int, device_entry: int, /
    ) -> None: ...
    def note(self, stream: int, /) -> None: ...
    def latest(self) -> tuple[int, int]: ...
    def __call__(self, *args: object) -> None: ...

class Lookup:
    _table: dict[object, Callable[..., None]]

    def __new__(cls, *args: object, **keywords: object) -> Self: ...
    def __getitem__(self, key: object, /) -> Callable[..., None]: ...
