"""A shared object written without compiler or linker, whose functions are those of this process.

tvm-ffi makes a Module of a shared object and of nothing else that Python could give it. So one is written: ELF64 with a
dynamic section, a symbol per function, and behind each symbol a stub that calls `TVMFFIFunctionCall` with the function
object it stands for. The safe-call convention of tvm-ffi, `int (void *self, args, count, result)`, differs from that
call's only in the first argument.

The stubs hold addresses of this process: an image is loaded at once, from memory, and never kept.

Layout: headers, symbols, names, hash table, stubs (read and execute); then, on pages of their own, the dynamic section
(read and write, since the loader of glibc relocates it in place). System V ABI, chapters 4 and 5.
"""

from __future__ import annotations

import platform
from struct import Struct, pack
from typing import NamedTuple

from jitload.errors import LoadError

ET_DYN = 3
PT_LOAD, PT_DYNAMIC, PT_GNU_STACK = 1, 2, 0x6474E551
PF_X, PF_W, PF_R = 1, 2, 4
DT_HASH, DT_STRTAB, DT_SYMTAB, DT_STRSZ, DT_SYMENT, DT_FINI = 4, 5, 6, 10, 11, 13
GLOBAL_FUNC = 0x12  # STB_GLOBAL << 4 | STT_FUNC

_HEADER = Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = Struct("<IIQQQQQQ")
_SYMBOL = Struct("<IBBHQQ")
_SEGMENTS = 4
_STUB_BYTES = 32
_PAGE = 1 << 16  # the largest page of aarch64; x86-64 has smaller ones, which divide it


class Machine(NamedTuple):
    """What differs between instruction sets.

    Attributes:
        number: `e_machine` (System V ABI, chapter 4).
    """

    number: int

    def call(self, target: int, function: int) -> bytes:
        """A stub that jumps to `function` with `target` as its first argument and the others as they came."""
        if self.number == 62:  # movabs rdi, target; movabs rax, function; jmp rax
            return b"\x48\xbf" + pack("<Q", target) + b"\x48\xb8" + pack("<Q", function) + b"\xff\xe0"
        # ldr x0, .+16; ldr x16, .+20; br x16; nop; the two literals
        return pack("<IIIIQQ", 0x58000080, 0x580000B0, 0xD61F0200, 0xD503201F, target, function)

    def mark(self, address: int) -> bytes:
        """A function without arguments that writes the byte 1 to `address`."""
        if self.number == 62:  # movabs rax, address; mov byte [rax], 1; ret
            return b"\x48\xb8" + pack("<Q", address) + b"\xc6\x00\x01\xc3"
        # ldr x0, .+16; mov w1, #1; strb w1, [x0]; ret; the literal
        return pack("<IIIIQ", 0x58000080, 0x52800021, 0x39000001, 0xD65F03C0, address)


_MACHINES = {"x86_64": Machine(62), "aarch64": Machine(183)}


def write_shared_object(functions: dict[str, int], call: int, unloaded: int) -> bytes:
    """A shared object with one symbol per function.

    Args:
        functions: symbol -> the address of the object that `call` gets as its first argument.
        call: the address of the function that every stub jumps to.
        unloaded: the address of a byte that becomes 1 when the object is unloaded.

    Raises:
        LoadError: stubs are not known for this machine.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        raise LoadError(f"no stubs for {platform.machine()}: jitload writes them for {', '.join(_MACHINES)}")
    stubs = [machine.call(target, call) for target in functions.values()]
    text = b"".join(stub.ljust(_STUB_BYTES, b"\0") for stub in (*stubs, machine.mark(unloaded)))
    names, name_at = _string_table(list(functions))
    hashes = _hash_table(len(functions))
    symbols_at = _aligned(_HEADER.size + _SEGMENTS * _SEGMENT.size, 16)
    names_at = symbols_at + (1 + len(functions)) * _SYMBOL.size
    hash_at = _aligned(names_at + len(names), 16)
    text_at = _aligned(hash_at + len(hashes), _STUB_BYTES)
    text_end = text_at + len(text)
    dynamic_at = _aligned(text_end, _PAGE)
    dynamic = _dynamic_section(
        (DT_HASH, hash_at),
        (DT_STRTAB, names_at),
        (DT_SYMTAB, symbols_at),
        (DT_STRSZ, len(names)),
        (DT_SYMENT, _SYMBOL.size),
        (DT_FINI, text_end - _STUB_BYTES),
    )
    segments = (
        _segment(PT_LOAD, PF_R | PF_X, 0, text_end, _PAGE),
        _segment(PT_LOAD, PF_R | PF_W, dynamic_at, len(dynamic), _PAGE),
        _segment(PT_DYNAMIC, PF_R | PF_W, dynamic_at, len(dynamic), 8),
        _segment(PT_GNU_STACK, PF_R | PF_W, 0, 0, 16),  # without it the stack would become executable
    )
    image = bytearray(dynamic_at + len(dynamic))
    for start, piece in (
        (0, _file_header(machine.number) + b"".join(segments)),
        (symbols_at, _symbol_table(name_at, text_at)),
        (names_at, names),
        (hash_at, hashes),
        (text_at, text),
        (dynamic_at, dynamic),
    ):
        image[start : start + len(piece)] = piece
    return bytes(image)


def _dynamic_section(*entries: tuple[int, int]) -> bytes:
    return b"".join(pack("<QQ", *entry) for entry in (*entries, (0, 0)))


def _symbol_table(name_at: list[int], text_at: int) -> bytes:
    symbols = [bytes(_SYMBOL.size)]
    for index, start in enumerate(name_at):
        address = text_at + index * _STUB_BYTES
        symbols.append(_SYMBOL.pack(start, GLOBAL_FUNC, 0, 1, address, _STUB_BYTES))  # section 1: any but "undefined"
    return b"".join(symbols)


def _file_header(machine: int) -> bytes:
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")  # 64-bit, little-endian, version 1
    return _HEADER.pack(
        ident, ET_DYN, machine, 1, 0, _HEADER.size, 0, 0, _HEADER.size, _SEGMENT.size, _SEGMENTS, 64, 0, 0
    )


def _segment(kind: int, flags: int, start: int, size: int, alignment: int) -> bytes:
    return _SEGMENT.pack(kind, flags, start, start, start, size, size, alignment)


def _string_table(names: list[str]) -> tuple[bytes, list[int]]:
    table, starts = bytearray(b"\0"), []
    for name in names:
        starts.append(len(table))
        table += name.encode() + b"\0"
    return bytes(table), starts


def _hash_table(count: int) -> bytes:
    """A table with one bucket, so that no name needs hashing: symbol 1, then 2, ... then the end (0)."""
    chain = [0, *range(2, count + 1), 0] if count else [0]
    return pack(f"<{3 + len(chain)}I", 1, count + 1, 1 if count else 0, *chain)


def _aligned(value: int, alignment: int) -> int:
    return -(-value // alignment) * alignment
