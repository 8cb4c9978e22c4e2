"""JSON from others, read to the letter: nothing twice, no numbers but short integers, bounds before anything is made.

`json.loads` takes the last of two equal keys, NaN, UTF-16 and numbers of four thousand digits, and makes of 16 MiB of
"[],[],..." lists for 470 MiB in seven seconds. What is read here is refused before that, as a ValueError that says why.
"""

from __future__ import annotations

import json

from jitload.digest import sha256_hex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, NoReturn

    # A value of JSON before anybody has looked at it, and an object of such values.
    Json = Any

    JsonObject = dict[str, Json]

#: Most integers are counts and times; the longest that fits 64 bits has 20 characters.
MAX_DIGITS = 20
#: How long a text for people may be: names of keys and of bundles.
MAX_NAME_CHARS = 200


def canonical_json(value: object) -> bytes:
    """The one spelling of a JSON value: UTF-8, sorted keys, no spaces."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "surrogatepass")  # as json.loads decodes: file names need not be UTF-8


def encode_memo(body: JsonObject) -> bytes:
    """A memo, which says what it was when it was written: canonical JSON of an object, and a digest over it."""
    return canonical_json({**body, "digest": sha256_hex(canonical_json(body))})


def decode_memo(data: bytes) -> JsonObject:
    """The object of a memo that is as `encode_memo` made it.

    Raises:
        ValueError: it is not, in any place.
    """
    try:
        memo = json.loads(data)
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
        # `str`: given bytes, the module would guess the encoding.
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_no_number,
            parse_constant=_no_number,
        )
    except RecursionError:
        raise ValueError("lists or objects that are nested too deeply") from None


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
