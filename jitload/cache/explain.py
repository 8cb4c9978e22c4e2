"""Why a request was a hit or a miss: its factors, what each tier said, and the nearest entries with what differs."""

from __future__ import annotations

from jitload.artifact import decode_factors
from jitload.compiler.headers import VIRTUAL_ROOT, Closure, read_header
from jitload.compiler.key import artifact_key
from jitload.compiler.manifest import check_variant
from jitload.compiler.roots import Roots
from jitload.compiler.toolkit import toolkit_roots
from jitload.digest import sha256_hex
from jitload.errors import CompileError, JitloadError
from jitload.values import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from jitload.artifact import Artifact, Toolchain
    from jitload.cache.disk import DiskStore
    from jitload.cache.tiers import Cache
    from jitload.compiler.request import CompileRequest

#: How many entries are compared, the most recently used first, and how many are shown.
MAX_COMPARED = 5000
MAX_SHOWN = 3


class Difference(Value):
    """One factor in which an entry differs from the request.

    Attributes:
        factor: its name, e.g. "arch", "define N", "header /path/to/value.h".
        old: the entry's value.
        new: the request's value.
    """

    __slots__ = ("factor", "new", "old")
    factor: str
    old: str
    new: str

    def __init__(self, factor: str, old: str, new: str) -> None:
        self._set(factor=factor, old=old, new=new)

    def __str__(self) -> str:
        return f"{self.factor}: {self.old} -> {self.new}"


class Nearest(Value):
    """An entry that is like the request.

    Attributes:
        key: its key.
        artifact: a line about it.
        differences: what differs; empty for the entry that the request hits.
    """

    __slots__ = ("artifact", "differences", "key")
    key: str
    artifact: str
    differences: tuple[Difference, ...]

    def __init__(self, key: str, artifact: str, differences: tuple[Difference, ...]) -> None:
        self._set(key=key, artifact=artifact, differences=differences)


class Explanation(Value):
    """The answer to "why did it recompile?". `str()` gives it as text.

    Attributes:
        request: a line about the request.
        key: the key it has now, or None when that cannot be known without a compile.
        hit: True when a tier holds it.
        factors: (name, value) of every factor of the key.
        tiers: (tier, what it said).
        nearest: the nearest entries on the disk, the most alike first.
    """

    __slots__ = ("factors", "hit", "key", "nearest", "request", "tiers")
    request: str
    key: str | None
    hit: bool
    factors: tuple[tuple[str, str], ...]
    tiers: tuple[tuple[str, str], ...]
    nearest: tuple[Nearest, ...]

    def __init__(self, **fields: object) -> None:
        self._set(**fields)

    def preceded_by(self, tiers: list[tuple[str, str]]) -> Explanation:
        """The same, where other tiers were asked first, of which "hit" is an answer too."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        hit = self.hit or "hit" in dict(tiers).values()
        return Explanation(**{**fields, "tiers": (*tiers, *self.tiers), "hit": hit})

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        nearest = [
            {
                "key": entry.key,
                "entry": entry.artifact,
                "differences": [{"factor": d.factor, "old": d.old, "new": d.new} for d in entry.differences],
            }
            for entry in self.nearest
        ]
        return {
            "request": self.request,
            "key": self.key,
            "hit": self.hit,
            "factors": dict(self.factors),
            "tiers": dict(self.tiers),
            "nearest": nearest,
        }

    def __str__(self) -> str:
        lines = [f"{self.request}: {'a hit' if self.hit else 'a miss'}", f"  key      {self.key or 'not known'}"]
        lines += [f"  factor   {name}: {value}" for name, value in self.factors]
        lines += [f"  asked    {tier}: {answer}" for tier, answer in self.tiers]
        for entry in self.nearest:
            lines.append(f"  nearest  {entry.key[:12]} {entry.artifact}")
            lines += [f"             {difference}" for difference in entry.differences]
            if not entry.differences:
                lines.append("             no factor differs")
        return "\n".join(lines)


def explain_request(request: CompileRequest, cache: Cache, toolchain: Toolchain | None) -> Explanation:
    """Explain a request against a cache as it is now; nothing is compiled or counted.

    Args:
        request: the request.
        cache: where it would be looked for.
        toolchain: the compiler in use, or None where there is none.
    """
    tiers, key = _ask_tiers(request, cache, toolchain)
    hit = key is not None
    try:
        closure: Closure | None = Closure(request, toolkit_roots())
    except (CompileError, OSError) as error:
        closure = None
        tiers.append(("headers", str(error)))
    if key is None and closure is not None and toolchain is not None and not closure.asks_compiler():
        key = artifact_key(request, closure.digest(), toolchain)
    now = _factors_now(request, closure, toolchain)
    return Explanation(
        request=f"{request.name} ({request.kind}, {request.arch})",
        key=key,
        hit=hit,
        factors=tuple((name, value) for name, value in now.items() if not name.startswith(("header ", "define "))),
        tiers=tuple(tiers),
        nearest=_nearest(request, cache, now),
    )


def _ask_tiers(
    request: CompileRequest, cache: Cache, toolchain: Toolchain | None
) -> tuple[list[tuple[str, str]], str | None]:
    """What each tier says, and the key that one of them holds."""
    answers: list[tuple[str, str]] = []
    variants = cache.variants(request.digest)
    found: str | None = None
    toolkit = toolkit_roots() if toolchain is not None else ()
    for number, variant in enumerate(variants, 1):
        key = artifact_key(request, variant.closure, variant.toolchain)
        stale = check_variant(variant, request, toolkit)
        if toolchain is not None and variant.toolchain != toolchain:
            stale = f"compiled by {variant.toolchain}, here is {toolchain}"
        if stale is None:
            asked = [("memory", cache.memory.read(key)[1])]
            asked += [(_name_store(cache, store), _ask_store(store, key)) for store in cache.stores]
            stale = "; ".join(("fits", *(f"{tier}: {answer}" for tier, answer in asked)))
            found = found or (key if "hit" in dict(asked).values() else None)
        answers.append((f"manifest variant {number} ({key[:12]})", stale))
    if not variants:
        answers.append(("manifest", "absent: this request was never compiled into this cache"))
    if not cache.stores:
        answers.append(("disk", "none: a cache in memory only"))
    return answers, found


def _name_store(cache: Cache, store: DiskStore) -> str:
    return "disk" if store is cache.disk else f"disk {store.directory.path}"


def _ask_store(store: DiskStore, key: str) -> str:
    """What a look-up would say, without being one: nothing is touched, counted or put aside."""
    try:
        store.read_entry(key)
    except FileNotFoundError:
        return "absent"
    except OSError as error:
        return f"unreadable ({error.strerror or error})"
    except JitloadError:
        return "damaged"
    return "hit"


def _factors_now(request: CompileRequest, closure: Closure | None, toolchain: Toolchain | None) -> dict[str, str]:
    headers = {} if closure is None else {name: header.digest for name, header in closure.headers.items()}
    return _spell_factors(
        kind=request.kind.value,
        arch=request.arch,
        name=request.name,
        toolchain="none installed" if toolchain is None else str(toolchain),
        factors={
            "defines": dict(request.defines),
            "headers": headers,
            "name expressions": list(request.names),
            "options": list(request.options),
            "source": sha256_hex(request.source.encode("utf-8", "surrogateescape")),
            "undefines": list(request.undefines),
        },
    )


def _spell_factors(*, kind: str, arch: str, name: str, toolchain: str, factors: Mapping[str, Any]) -> dict[str, str]:
    """Every factor under its own name, as text."""
    spelled = {
        "kind": kind,
        "arch": arch,
        "program name": name,
        "source": str(factors.get("source", ""))[:12],
        "options": " ".join(factors.get("options", ())) or "none",
        "undefines": " ".join(factors.get("undefines", ())) or "none",
        "name expressions": ", ".join(factors.get("name expressions", ())) or "none",
        "compiler": toolchain,
        "headers": f"{len(factors.get('headers', {}))} files",
    }
    for macro, value in factors.get("defines", {}).items():
        spelled[f"define {macro}"] = "1" if value is None else str(value)
    for header, digest in factors.get("headers", {}).items():
        spelled[f"header {header}"] = str(digest)
    return spelled


def _nearest(request: CompileRequest, cache: Cache, now: dict[str, str]) -> tuple[Nearest, ...]:
    """The entries of the same program that differ in the fewest factors."""
    entries = [(status.st_mtime, key, store) for store in cache.stores for key, status in store.scan_keys()]
    newest = sorted(entries, key=lambda item: -item[0])[:MAX_COMPARED]
    found: list[Nearest] = []
    for _, key, store in newest:
        entry = _read_entry(store, key)
        if entry is None:
            continue
        artifact, factors = entry
        same_source = str(factors.get("source", ""))[:12] == now["source"]
        if artifact.name != request.name and not same_source:
            continue
        differences = tuple(_differences(request, artifact, factors, now))
        seconds = f"compiled in {artifact.compile_seconds:.3f} s"
        found.append(Nearest(key, f"{artifact.name} ({artifact.kind}, {artifact.arch}), {seconds}", differences))
    return tuple(sorted(found, key=lambda entry: len(entry.differences))[:MAX_SHOWN])


def _read_entry(store: DiskStore, key: str) -> tuple[Artifact, dict[str, Any]] | None:
    try:
        artifact, data = store.read_entry(key)
        return artifact, decode_factors(data, key)
    except (OSError, JitloadError):
        return None


def _differences(
    request: CompileRequest, artifact: Artifact, factors: Mapping[str, Any], now: dict[str, str]
) -> list[Difference]:
    then = _spell_factors(
        kind=artifact.kind.value,
        arch=artifact.arch,
        name=artifact.name,
        toolchain=str(artifact.toolchain),
        factors=factors,
    )
    roots = Roots(request, toolkit_roots())
    found = []
    for name in dict.fromkeys((*then, *now)):
        if name == "headers":
            continue
        old = then.get(name, "absent")
        new = now.get(name) or _header_now(name, roots) or "absent"
        if old != new:
            label = name
            if name.startswith("header "):
                label = f"header {_path_now(name[7:], roots)}"
                old, new = old[:12], new[:12]
            found.append(Difference(label, old, new))
    return found


def _header_now(name: str, roots: Roots) -> str | None:
    """The digest of a header that the scan does not reach (a macro names it), from the name of its factor."""
    path = _path_now(name.removeprefix("header "), roots)
    try:
        return read_header(path)[0]
    except (OSError, CompileError):
        return None


def _path_now(name: str, roots: Roots) -> str:
    """Where a header lies on this machine, from its virtual name; the name itself when it has no file."""
    first, _, below = name.removeprefix(VIRTUAL_ROOT).partition("/")
    if first not in roots:  # "include/0" and "toolkit/cuda" are two words
        second, _, below = below.partition("/")
        first = f"{first}/{second}"
    return (roots.path(first, below) if first in roots else None) or name
