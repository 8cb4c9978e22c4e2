"""What the CUDA runtime gives device code: printf, assertions and the device heap."""

from __future__ import annotations

import re
import struct
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np

from jitload.cpu.memory.arena import ARENA_WINDOW, LOCAL_WINDOW, SHARED_WINDOW, WINDOW_BYTES
from jitload.cpu.memory.slab import UNSET
from jitload.errors import CpuFault

if TYPE_CHECKING:
    from jitload.cpu.code.block_code import CallCode
    from jitload.cpu.run.batch import Batch
    from jitload.cpu.run.frame import Frame
    from jitload.cpu.run.observer import Observer
    from jitload.cpu.types import Array

_TRAILING_ZEROS = re.compile(r"\.?0*p")
_FORMAT = re.compile(rb"%([-+ #0]*)(\*|[1-9]\d*)?(?:\.(\*|\d+)?)?(hh|h|ll|l|j|z|t|L)?([diouxXeEfFgGaAcspn%])")
_LONGEST_STRING = 1 << 16
_WIDEST = 4095  # characters of one conversion, which C promises; wider ones are cut
_LONGEST_TEXT = 1 << 20  # of one call: what a GPU's buffer holds (cudaLimitPrintfFifoSize)
_LONG = {"l", "ll", "j", "z", "t"}


class _Caller(NamedTuple):
    """The lane that calls, and where."""

    batch: Batch
    lane: int
    site: int
    observer: Observer | None

    def fail(self, what: str, address: int | None = None, nearest: str | None = None) -> NoReturn:
        """Stop the kernel because of this lane."""
        self.batch.fail_lane(self.site, self.lane, what, address, nearest)


def run_builtin(
    name: str, batch: Batch, frame: Frame, call: CallCode, lanes: Array | None, observer: Observer | None
) -> None:
    """Carry out a call of the runtime for the current lanes, one after the other.

    Raises:
        CpuFault: an assertion failed, or a pointer is bad.
    """
    everyone = range(batch.lanes_total) if lanes is None else lanes.tolist()
    if call.results and observer is not None:
        place, size = call.results[0]
        observer.copied(batch, lanes, None, frame.base + place, size)
    for lane in everyone:
        caller = _Caller(batch, lane, call.site, observer)
        arguments = [_read_argument(batch, lane, frame.base + place, size) for place, size in call.arguments]
        try:
            result = _HANDLERS[name](caller, arguments)
        except (IndexError, struct.error) as error:
            caller.fail(f"call of {name} with arguments that it cannot have: {error}")
        if call.results:
            place, size = call.results[0]
            start = lane * batch.local.stride + frame.base + place
            data = int(result).to_bytes(8, "little")[:size]
            batch.local.views["u8"][start : start + size] = np.frombuffer(data, np.uint8)


def _read_argument(batch: Batch, lane: int, place: int, size: int) -> int:
    start = lane * batch.local.stride + place
    return int.from_bytes(batch.local.views["u8"][start : start + size].tobytes(), "little")


def _bytes_at(caller: _Caller, address: int, limit: int) -> bytes:
    """Up to `limit` bytes that a lane sees at a generic address."""
    batch = caller.batch
    if LOCAL_WINDOW <= address < LOCAL_WINDOW + WINDOW_BYTES:
        slab, start, copy = batch.local, address - LOCAL_WINDOW, caller.lane
    elif SHARED_WINDOW <= address < SHARED_WINDOW + WINDOW_BYTES:
        slab, start, copy = batch.shared, address - SHARED_WINDOW, int(batch.block_slot[caller.lane])
    else:
        found = batch.arena.find(address - ARENA_WINDOW)
        if found is None or address - ARENA_WINDOW >= found.end:
            nearest = batch.arena.nearest(address - ARENA_WINDOW, 1)
            caller.fail(f"out of bounds: pointer {address:#x} given to the runtime", address, nearest)
        first = address - ARENA_WINDOW - found.origin
        return found.views["u8"][first : min(first + limit, found.end - found.origin)].tobytes()
    first = copy * slab.stride + start
    return slab.views["u8"][first : first + min(limit, max(slab.nbytes - start, 0))].tobytes()


def _string_at(caller: _Caller, address: int) -> bytes:
    if not address:
        return b"(null)"
    return _bytes_at(caller, address, _LONGEST_STRING).partition(b"\0")[0]


def _print(caller: _Caller, arguments: list[int]) -> int:
    """`vprintf(format, arguments)`; the arguments are packed with their natural alignment."""
    form = _string_at(caller, arguments[0])
    packed = _bytes_at(caller, arguments[1], _LONGEST_STRING) if arguments[1] else b""
    reader = _Packed(packed)
    text = _FORMAT.sub(lambda match: _format_within(caller, match, reader), form)
    _write(text.decode("utf-8", "replace"))
    return reader.count


def _write(text: str) -> None:
    """Print what there is somewhere to print to; what its encoding lacks is spelled out."""
    stream = sys.stdout
    if stream is None or stream.closed:
        return
    try:
        stream.write(text)
    except UnicodeEncodeError as error:
        stream.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))


class _Packed:
    """The variadic arguments of printf."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0
        self.count = 0
        self.room = _LONGEST_TEXT

    def take(self, code: str) -> Any:
        """The next argument, as a struct code says."""
        size = struct.calcsize(code)
        self._place = -(-self._place // size) * size
        (value,) = struct.unpack_from("<" + code, self._data, self._place)
        self._place += size
        self.count += 1
        return value


def _format_within(caller: _Caller, match: re.Match[bytes], reader: _Packed) -> bytes:
    """One conversion, cut where the text of the call gets too long."""
    if not reader.room:
        return b""
    text = _format_one(caller, match, reader)[: reader.room]
    reader.room -= len(text)
    return text


def _format_one(caller: _Caller, match: re.Match[bytes], reader: _Packed) -> bytes:
    flags, width, precision, length, letter = (part.decode() if part else "" for part in match.groups())
    if letter == "%":
        return b"%"
    number = reader.take("i") if width == "*" else 0
    flags, width = (f"{flags}-" if number < 0 else flags), _bounded(str(abs(number)) if width == "*" else width)
    number = reader.take("i") if precision == "*" else 0
    dotted = f".{_bounded(str(number) if precision == '*' else precision)}"
    # Without a point, or with a number below zero, C takes the precision for not given.
    spec = f"%{flags}{width}{dotted}" if number >= 0 and b"." in match.group() else f"%{flags}{width}"
    if letter in "di":
        number = _narrowed(reader.take("q" if length in _LONG else "i"), length)
        return f"{spec}d".encode() % number
    if letter in "ouxX":
        value: int = reader.take("Q" if length in _LONG else "I")
        return _unsigned(spec, letter, value & {"hh": 0xFF, "h": 0xFFFF}.get(length, -1))
    if letter in "eEfFgG":
        real: float = reader.take("d")
        return f"{spec}{letter}".encode() % real
    if letter in "aA":
        text = _TRAILING_ZEROS.sub("p", float(reader.take("d")).hex())
        return f"%{flags}{width}s".encode() % (text if letter == "a" else text.upper()).encode()
    if letter == "c":
        return bytes((spec + "c").encode() % bytes([reader.take("i") & 0xFF]))
    if letter == "s":
        return (spec + "s").encode() % _string_at(caller, reader.take("Q"))
    if letter == "p":
        return f"%{flags}{width}s".encode() % hex(reader.take("Q")).encode()
    return b""


def _bounded(digits: str) -> str:
    """A width or a precision, cut to the widest; "" and "0" of a width ask for nothing."""
    return str(min(int(digits[:5]), _WIDEST)) if digits.strip("0") else digits[:1]


def _unsigned(spec: str, letter: str, value: int) -> bytes:
    """`%o %u %x %X`, as C has them: Python writes 0o17, 0x0 and +7."""
    spec = spec.replace("+", "").replace(" ", "")
    if letter in "ou" or not value:
        alternate, spec = "#" in spec and letter == "o", spec.replace("#", "")
        text = f"{spec}{'d' if letter == 'u' else letter}".encode() % value
        if not alternate or text.lstrip().startswith(b"0"):
            return text
        spec = f"{spec.partition('.')[0]}.{len(f'{value:o}') + 1}"  # '#' asks for a leading zero
    return f"{spec}{letter}".encode() % value


def _narrowed(value: int, length: str) -> int:
    bits = {"hh": 8, "h": 16}.get(length)
    if bits is None:
        return value
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def _fail_assertion(caller: _Caller, arguments: list[int]) -> int:
    """`__assertfail(message, file, line, function, size of char)`."""
    message, file, function = (_string_at(caller, arguments[place]).decode("utf-8", "replace") for place in (0, 1, 3))
    line = caller.batch.grid.code.linker.program.users.spell(file, arguments[2] & 0xFFFFFFFF)
    caller.fail(f"assertion `{message}` failed in {function}, {line}")


def _allocate(caller: _Caller, arguments: list[int]) -> int:
    batch, nbytes = caller.batch, arguments[0]
    thread, block = batch.thread_at(caller.lane)
    address = batch.arena.heap.allocate(nbytes, f"malloc of thread {thread} of block {block}") if nbytes else 0
    if not address:
        return 0
    start = address - ARENA_WINDOW
    batch.arena.views["u16"][start // 2 : (start + nbytes + 1) // 2] = UNSET
    if caller.observer is not None:
        caller.observer.allocated(batch, caller.lane, caller.site, address, nbytes)
    return address


def _free(caller: _Caller, arguments: list[int]) -> int:
    address = arguments[0]
    if address:
        if caller.observer is not None:
            caller.observer.freed(caller.batch, caller.lane, caller.site, address)
        try:
            caller.batch.arena.heap.free(address)
        except CpuFault:
            nearest = caller.batch.arena.nearest(address - ARENA_WINDOW, 0)
            caller.fail("free of a pointer that malloc did not give", address, nearest)
    return 0


_HANDLERS = {"vprintf": _print, "__assertfail": _fail_assertion, "malloc": _allocate, "free": _free}
