import os
from collections.abc import Iterable
from typing import Literal, TypeAlias, TypedDict

Path: TypeAlias = str | os.PathLike[str]

class Options(TypedDict, total=False):
    cache_dir: Path | None
    cache_max_bytes: int | str
    read_only_dirs: Path | Iterable[Path] | None
    device: Literal["auto", "cuda", "cpu"]
    compile: Literal["missing", "never", "always"]
    compile_options: str | Iterable[str]
    offline: bool
    bundles: Path | Iterable[Path] | None
    trust: Path | Iterable[Path] | None
    strict: bool
    remote: str | None
    remote_mode: Literal["readwrite", "read"]
    remote_max_entry_bytes: int | str
    remote_trust: Path | Iterable[Path] | None
    remote_key: Path | None
    remote_lease_seconds: float | str
    remote_wait_seconds: float | str
    record: Path | None
    dump: Path | None
    override: Path | None
    full_traceback: bool
    cpu_engine: Literal["auto", "lanes", "native"]
    cpu_check: str | Iterable[str] | None
    sync: bool
