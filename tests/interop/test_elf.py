"""The shared objects that are written for tvm-ffi: well-formed ELF, for both machines, and really loadable here."""

import ctypes
import os
import platform
import struct

import pytest

from jitload.errors import LoadError
from jitload.interop import elf

HEADER = struct.Struct("<16sHHIQQQIHHHHHH")


def read_image(image):
    """The header's fields, the program headers and the dynamic section, of which everything must lie in the image."""
    header = HEADER.unpack_from(image)
    segments = [struct.unpack_from("<IIQQQQQQ", image, header[5] + 56 * index) for index in range(header[10])]
    dynamic = next(segment for segment in segments if segment[0] == 2)
    entries = dict(struct.iter_unpack("<QQ", image[dynamic[2] : dynamic[2] + dynamic[5]]))
    return header, segments, entries


def symbols_of(image):
    _, _, entries = read_image(image)
    names, table = entries[5], entries[6]
    count = struct.unpack_from("<II", image, entries[4])[1]
    found = {}
    for index in range(1, count):
        name, info, _, section, value, size = struct.unpack_from("<IBBHQQ", image, table + 24 * index)
        end = image.index(b"\0", names + name)
        assert (info, section, size) == (0x12, 1, 32)
        found[image[names + name : end].decode()] = value
    return found


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 62), ("aarch64", 183)])
@pytest.mark.parametrize("functions", [{}, {"f": 0x1122334455667788}, {"a": 1, "b<float>": 2, "c": 3}], ids=len)
def test_the_image_is_well_formed(monkeypatch, machine, number, functions):
    monkeypatch.setattr(platform, "machine", lambda: machine)
    call, mark = 0x0102030405060708, 0x0A0B0C0D0E0F1011
    image = elf.write_shared_object(functions, call, mark)
    header, segments, entries = read_image(image)
    assert header[0][:7] == b"\x7fELF\x02\x01\x01"
    assert header[1:4] == (3, number, 1)
    for kind, flags, offset, address, _, file_bytes, memory_bytes, alignment in segments:
        assert offset == address
        assert file_bytes == memory_bytes
        assert offset + file_bytes <= len(image)
        assert address % alignment == 0
        assert flags & 3 != 3, "nothing is writable and executable"
        assert kind in {1, 2, 0x6474E551}
    assert list(symbols_of(image)) == list(functions)
    for name, address in symbols_of(image).items():
        assert struct.pack("<Q", functions[name]) in image[address : address + 32]
        assert struct.pack("<Q", call) in image[address : address + 32]
    assert struct.pack("<Q", mark) in image[entries[13] : entries[13] + 32]


def test_another_machine_is_refused(monkeypatch):
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(LoadError, match="no stubs for riscv64"):
        elf.write_shared_object({}, 0, 0)


def test_the_system_loads_it_and_its_stubs_pass_the_other_arguments_on():
    """The function gets its own first argument and the caller's other three; unloading writes the mark."""
    seen = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
    def function(target, args, count, result):
        seen.append((target, args, count, result))
        return 7

    address = ctypes.cast(function, ctypes.c_void_p).value
    mark = ctypes.create_string_buffer(1)
    image = elf.write_shared_object({"one": 0x1111, "two": 0x2222}, address, ctypes.addressof(mark))
    handle = os.memfd_create("test")
    try:
        os.write(handle, image)
        library = ctypes.CDLL(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)
    for name, target in (("one", 0x1111), ("two", 0x2222)):
        stub = getattr(library, name)
        stub.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
        assert stub(0x9999, 0x10, 3, 0x20) == 7
        assert seen.pop() == (target, 0x10, 3, 0x20)
    with pytest.raises(AttributeError):
        _ = library.three
    assert mark.raw == b"\0"
    close = ctypes.CDLL(None).dlclose
    close.argtypes = [ctypes.c_void_p]
    assert close(library._handle) == 0
    assert mark.raw == b"\1"
