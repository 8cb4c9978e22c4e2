"""JSON from others, read to the letter: nothing twice, no numbers but short integers, bounds before anything is made.

`json.loads` takes the last of two equal keys, NaN, UTF-16 and numbers of four thousand digits, and makes of 16 MiB of
"[],[],..." lists for 470 MiB in seven seconds. What is read here is refused before that, as a ValueError that says why.

A hit reads JSON of ours, and needs the half of the standard module for it that is in C. The other half makes patterns
at its import, and wants `re` and `enum` for that: a tenth of what a new process with a hit costs.
"""

from __future__ import annotations

from types import SimpleNamespace

from jitload.digest import sha256_hex
from jitload.lazy import lazy

try:
    from _json import encode_basestring, make_encoder, make_scanner
except ImportError:  # a Python without it
    make_encoder = make_scanner = None  # type: ignore[assignment, misc]

TYPE_CHECKING = False
if TYPE_CHECKING:
    import json
    from collections.abc import Callable, Iterable
    from typing import Any, NoReturn

    # A value of JSON before anybody has looked at it, and an object of such values.
    Json = Any

    JsonObject = dict[str, Json]
    #: (text, where a value begins) -> (the value, where it ends); a StopIteration where none begins.
    Scan = Callable[[str, int], tuple[Json, int]]
else:
    json = lazy("json")

#: Most integers are counts and times; the longest that fits 64 bits has 20 characters.
MAX_DIGITS = 20
#: How long a text for people may be: names of keys and of bundles.
MAX_NAME_CHARS = 200
#: What JSON has between values.
_SPACE = " \t\n\r"


def canonical_json(value: object) -> bytes:
    """The one spelling of a JSON value: UTF-8, sorted keys, no spaces."""
    return _written(value).encode("utf-8", "surrogatepass")  # as it is read: file names need not be UTF-8


def read_canonical(data: bytes) -> Json:
    """The value of which `canonical_json` made some bytes. Whether they are all as it makes them is not asked.

    Raises:
        ValueError: they are not one value of JSON and nothing else.
    """
    text = data.decode("utf-8", "surrogatepass")
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        raise ValueError("no value of JSON") from None
    if end != len(text):
        raise ValueError(f"{len(text) - end} characters behind a value")
    return value


def encode_memo(body: JsonObject) -> bytes:
    """A memo, which says what it was when it was written: canonical JSON of an object, and a digest over it."""
    return canonical_json({**body, "digest": sha256_hex(canonical_json(body))})


def decode_memo(data: bytes) -> JsonObject:
    """The object of a memo that is as `encode_memo` made it.

    Raises:
        ValueError: it is not, in any place.
    """
    try:
        memo = read_canonical(data)
        body = {name: value for name, value in memo.items() if name != "digest"}
        sound = memo.get("digest") == sha256_hex(canonical_json(body))
    except (AttributeError, TypeError, RecursionError) as error:
        raise ValueError(f"no memo: {error}") from None
    if not sound:
        raise ValueError("a memo that is not as it was written")
    return body


def decode_json(data: bytes, *, max_bytes: int, max_marks: int) -> Json:
    """The one value in some bytes of UTF-8.

    Args:
        data: the bytes.
        max_bytes: how many there may be.
        max_marks: how many of "[", "{" and "," there may be, in texts too: a bound for the number of values, which
            costs one look at the bytes. Each takes some 64 bytes of memory.

    Raises:
        ValueError: it is longer, has more values, is nested too deeply, is not JSON, has a key twice, a number that is
            no integer of up to `MAX_DIGITS` characters, or text that is not UTF-8.
    """
    if len(data) > max_bytes:
        raise ValueError(f"{len(data)} bytes, and {max_bytes} are the most")
    check_marks(data, max_marks)
    try:
        text = data.decode("utf-8")
        value, end = _scan_strictly(text, len(text) - len(text.lstrip(_SPACE)))
    except StopIteration as nothing:
        raise ValueError(f"no value of JSON at character {nothing.value}") from None
    except RecursionError:
        raise ValueError("lists or objects that are nested too deeply") from None
    if text[end:].strip(_SPACE):
        raise ValueError(f"more than one value: the first ends at character {end}")
    return value


def check_marks(data: bytes, max_marks: int) -> None:
    """Nothing for JSON that cannot have more than so many values.

    Raises:
        ValueError: it could.
    """
    marks = sum(map(data.count, (b"[", b"{", b",")))
    if marks > max_marks:
        raise ValueError(f"{marks} brackets and commas, and {max_marks} are the most")


def object_of(value: object, required: Iterable[str], optional: Iterable[str] = ()) -> JsonObject:
    """A value that is an object with these fields and no others.

    Raises:
        ValueError: it is something else, or a field is missing or unknown.
    """
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, got {type(value).__name__}")
    needed = set(required)
    if missing := needed - value.keys():
        raise ValueError(f"no field {', '.join(map(repr, sorted(missing)))}")
    if unknown := value.keys() - needed - set(optional):
        raise ValueError(f"unknown field {', '.join(map(repr, sorted(unknown))):.80}")
    return value


def list_of(value: object, kind: type, length: int | None = None) -> list[Json]:
    """A value that is a list, each item of exactly this type.

    Args:
        value: the value.
        kind: the type; `bool` is no `int` here.
        length: how many items there must be; None for any number.

    Raises:
        ValueError: it is something else.
    """
    if type(value) is not list:
        raise ValueError(f"expected a list, got {type(value).__name__}")
    if length is not None and len(value) != length:
        raise ValueError(f"expected a list of {length}, got one of {len(value)}")
    for item in value:
        if type(item) is not kind:
            raise ValueError(f"expected a list of {kind.__name__}, with {type(item).__name__} in it")
    return value


def count_of(value: object, least: int = 0, most: int = (1 << 63) - 1) -> int:
    """A value that is an integer within bounds.

    Raises:
        ValueError: it is something else; True is none.
    """
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"expected an integer from {least} to {most}, got {value!r:.40}")
    return value


def name_of(value: object) -> str:
    """A value that is a short text for people, in one line: it is shown on terminals.

    Raises:
        ValueError: it is something else, too long, or holds what does not print.
    """
    if type(value) is not str or len(value) > MAX_NAME_CHARS or not value.isprintable():
        raise ValueError(
            f"expected a name in one line of up to {MAX_NAME_CHARS} characters that print, got {value!r:.80}"
        )
    return value


def all_different(values: Iterable[object], what: str) -> None:
    """Nothing when no two of these are equal.

    Raises:
        ValueError: two are; the text names it.
    """
    seen = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{what} twice: {value!r:.80}")
        seen.add(value)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        all_different((key for key, _ in pairs), "a key")
    return found


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text:.40} where only integers are expected")


def _scanner(
    pairs: Callable[[list[tuple[str, object]]], object] | None = None,
    integer: Callable[[str], object] = int,
    other: Callable[[str], object] = float,
) -> Scan:
    """What reads a value, which makes objects, integers and other numbers by these; None for plain objects."""
    reading = SimpleNamespace(
        strict=True,
        object_hook=None,
        object_pairs_hook=pairs,
        parse_int=integer,
        parse_float=other,
        parse_constant=other,
    )
    if make_scanner is None:
        return json.JSONDecoder(**vars(reading)).raw_decode
    made: Any = make_scanner  # of which typeshed says that it takes one of itself
    scan: Scan = made(reading)
    return scan


def _writer() -> Callable[[object], str]:
    """What writes a value as `json.dumps` does: keys sorted, without spaces, nothing escaped that need not be."""
    if make_encoder is None:
        dumps = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return dumps.encode
    encode = make_encoder(None, _no_json, encode_basestring, None, ":", ",", True, False, False)
    return lambda value: "".join(encode(value, 0))


def _no_json(value: object) -> NoReturn:
    raise TypeError(f"no JSON has a value of type {type(value).__name__}")


_written = _writer()
_scan = _scanner()
_scan_strictly = _scanner(_object, _integer, _no_number)
