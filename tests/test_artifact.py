"""The entry format: whatever the bytes are, the answer is the artifact or ArtifactError."""

from __future__ import annotations

import json
import math
import pathlib
import pickle
import struct
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jitload.artifact import Artifact, decode_entry
from jitload.digest import sha256
from jitload.errors import ArtifactError, JitloadError
from jitload.format.entry import HEADER, MAGIC, MAX_ENTRY_BYTES, decode_factors, encode_entry
from jitload.format.json import canonical_json
from jitload.images.resources import read_resources
from jitload.values import KernelInfo, Kind, Parameter, Resources, Toolchain

KEY = "ab" * 32

text = st.text(max_size=20)
counts = st.integers(0, 1 << 20)
parameters = st.builds(
    Parameter,
    counts,
    counts,
    counts,
    text,
    name=text,
    declared=text,
    cpp=text,
    pointer=st.sampled_from([True, False, None]),
    const=st.booleans(),
)
figures = {name: counts for name in Resources.__slots__ if "spill" not in name}
resources = st.builds(Resources, **figures) | st.builds(
    Resources, **figures, spill_store_bytes=counts, spill_load_bytes=counts
)
kernels = st.builds(
    KernelInfo,
    text,
    text,
    st.lists(parameters, max_size=4),
    max_threads=st.none() | counts,
    required_block=st.none() | st.tuples(counts, counts, counts),
    resources=st.none() | resources,
)
artifacts = st.builds(
    Artifact,
    kind=st.sampled_from(Kind),
    data=st.binary(max_size=300),
    arch=text,
    name=text,
    key=st.binary(min_size=32, max_size=32).map(bytes.hex),
    kernels=st.lists(kernels, max_size=4),
    toolchain=st.builds(Toolchain, text, text, text),
    log=text,
    compile_seconds=st.floats(0, 1e9, allow_nan=False),
    variables=st.dictionaries(text, text, max_size=3),
)


def example(**changes):
    fields = {
        "kind": Kind.PTX,
        "data": b"//\n.version 8.8",
        "arch": "compute_75",
        "name": "k.cu",
        "key": KEY,
        "kernels": [
            KernelInfo(
                "k",
                "_Z1kPf",
                [Parameter(0, 8, 8, "u64", name="x", declared="float *", pointer=True)],
                required_block=(8, 1, 1),
            )
        ],
        "toolchain": Toolchain("nvrtc", "12.9.86", "cd" * 32),
        "log": "k.cu(1): warning",
        "compile_seconds": 0.25,
    }
    return Artifact(**{**fields, **changes})


def fields_of(artifact):
    return {name: getattr(artifact, name) for name in artifact.__slots__}


def entry(meta, payload=b"x", *, factors=b"{}", key=KEY):
    """An entry with these sections, and lengths and digest that are right."""
    body = HEADER.pack(MAGIC, 1, len(meta), len(factors), len(payload), bytes.fromhex(key)) + meta + factors + payload
    return body + sha256(body)


def meta_of(data):
    return json.loads(data[HEADER.size : HEADER.size + HEADER.unpack_from(data)[2]])


@given(artifacts)
def test_round_trip(artifact):
    again = decode_entry(encode_entry(artifact), artifact.key)
    assert fields_of(again) == fields_of(artifact)
    assert encode_entry(again) == encode_entry(artifact)


def test_types_of_variables_take_room_only_where_they_are_known():
    """And an entry or a pickle from before there were any is read as one without."""
    assert "variables" not in meta_of(encode_entry(example()))
    assert not decode_entry(encode_entry(example())).variables
    typed = example(variables={"_ZN1n1cE": "float [8]"})
    assert decode_entry(encode_entry(typed)).variables == {"_ZN1n1cE": "float [8]"}
    assert pickle.loads(pickle.dumps(typed)).variables == typed.variables
    state = {name: value for name, value in typed.__getstate__().items() if name != "variables"}
    before = Artifact.__new__(Artifact)
    before.__setstate__(state)
    assert not before.variables
    for wrong in ([], {"c": 1}, {"c": None}, "c"):
        with pytest.raises(ArtifactError, match="unreadable metadata"):
            decode_entry(entry(canonical_json({**meta_of(encode_entry(example())), "variables": wrong})))


@given(st.dictionaries(text, st.integers() | text | st.lists(text)))
def test_factors_round_trip(factors):
    assert decode_factors(encode_entry(example(), canonical_json(factors)), KEY) == factors


def test_types_are_an_optional_section_of_their_own():
    """An entry of a version before them reads as unknown types, and such a version reads an entry that has them."""
    typed = Parameter(0, 8, 8, "u64", name="x", declared="const T *", cpp="const float *", pointer=True)
    kernels = [KernelInfo("k<float>", "s", [typed, Parameter(8, 4, 4, "u32")]), KernelInfo("none", "none", [])]
    artifact = example(kernels=kernels)
    assert kernels[0].parameters == ("const float *", "")
    meta = meta_of(encode_entry(artifact))
    assert meta["kernels"][0][2] == [
        [0, 8, 8, "u64", "x", "const T *", True, False],
        [8, 4, 4, "u32", "", "", None, False],
    ], "the rows are those of a version without types"
    assert meta.pop("types") == [["const float *", ""], []]
    before = decode_entry(entry(canonical_json(meta)))
    assert [kernel.parameters for kernel in before.kernels.values()] == [("", ""), ()]
    assert "types" not in meta_of(encode_entry(before)), "what is not known takes no room"


def test_resources_are_an_optional_section_of_their_own():
    """A version before them reads an entry that has them; an entry of such a version says what its image says."""
    known = Resources(registers=40, stack_bytes=8, shared_bytes=512, code_bytes=1024, barriers=1, max_threads=256)
    kernels = [KernelInfo("k<float>", "s", [], resources=known), KernelInfo("none", "none", [])]
    meta = meta_of(encode_entry(example(kernels=kernels)))
    assert [len(row) for row in meta["kernels"]] == [5, 5], "the rows are those of a version without resources"
    assert meta.pop("resources") == [[1, 1024, 0, 256, 40, 512, None, None, 8], None]
    before = decode_entry(entry(canonical_json(meta)))
    assert [kernel.resources for kernel in before.kernels.values()] == [None, None]
    assert "resources" not in meta_of(encode_entry(before)), "what is not known takes no room"


def test_an_entry_before_resources_has_those_of_its_cubin():
    cubin = (pathlib.Path(__file__).parent / "images" / "data" / "sm_90-nvrtc12.cubin").read_bytes()
    artifact = example(
        kind=Kind.CUBIN, data=cubin, kernels=[KernelInfo("saxpy", "saxpy", []), KernelInfo("k", "k", [])]
    )
    found = decode_entry(encode_entry(artifact)).kernels
    assert found["saxpy"].resources == read_resources(cubin)["saxpy"]
    assert found["saxpy"].resources.registers > 0
    assert found["k"].resources is None
    assert decode_entry(encode_entry(example(kind=Kind.CUBIN))).kernels["k"].resources is None, "a damaged image"


def test_names_that_are_not_utf8_round_trip():
    artifact = example(name="k\udcff.cu", log="caf\udce9")
    assert fields_of(decode_entry(encode_entry(artifact))) == fields_of(artifact)


def test_every_flipped_bit_is_refused():
    data = encode_entry(example(), b'{"a":1}')
    for position in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            with pytest.raises(ArtifactError):
                decode_entry(bytes(damaged), KEY)
            with pytest.raises(ArtifactError):
                decode_factors(bytes(damaged), KEY)


def test_every_truncation_is_refused():
    data = encode_entry(example())
    for length in range(len(data)):
        with pytest.raises(ArtifactError):
            decode_entry(data[:length])


@given(st.binary(min_size=1, max_size=100))
def test_trailing_bytes_are_refused(extra):
    with pytest.raises(ArtifactError, match="promises"):
        decode_entry(encode_entry(example()) + extra)


@given(st.binary(max_size=400))
def test_any_bytes_are_refused(data):
    with pytest.raises(ArtifactError):
        decode_entry(data)
    with pytest.raises(ArtifactError):
        decode_entry(MAGIC + data)


def test_another_key_is_refused():
    with pytest.raises(ArtifactError, match=r"holds key abababababab\.\.\., not the cccc"):
        decode_entry(encode_entry(example()), "c" * 64)
    with pytest.raises(ArtifactError):
        decode_factors(encode_entry(example()), "c" * 64)


@pytest.mark.parametrize("field", range(3), ids=["meta", "factors", "payload"])
@pytest.mark.parametrize("lie", [-1, 1, 1 << 31, (1 << 32) - 1])
def test_lying_lengths_are_refused_and_allocate_nothing(field, lie):
    data = bytearray(encode_entry(example()))
    offset, code, bits = ((12, "<I", 32), (16, "<I", 32), (20, "<Q", 64))[field]
    (true,) = struct.unpack_from(code, data, offset)
    struct.pack_into(code, data, offset, (true + lie) % (1 << bits))
    data[-32:] = sha256(bytes(data[:-32]))
    with pytest.raises(ArtifactError):
        decode_entry(bytes(data))


def test_lengths_that_only_move_a_border_are_refused():
    """The sum is right and so is the digest; the sections are not."""
    data = bytearray(encode_entry(example()))
    meta, factors = struct.unpack_from("<II", data, 12)
    struct.pack_into("<II", data, 12, meta - 1, factors + 1)
    data[-32:] = sha256(bytes(data[:-32]))
    with pytest.raises(ArtifactError, match="unreadable"):
        decode_entry(bytes(data))


@pytest.mark.parametrize("version", [0, 2, 1 << 31])
def test_other_versions_are_refused_by_number(version):
    data = bytearray(encode_entry(example()))
    struct.pack_into("<I", data, 8, version)
    with pytest.raises(ArtifactError, match=f"version {version}, this jitload reads version 1"):
        decode_entry(bytes(data))


def test_more_than_the_cap_is_refused(monkeypatch):
    monkeypatch.setattr("jitload.format.entry.MAX_ENTRY_BYTES", 200)
    with pytest.raises(ArtifactError, match="too long"):
        decode_entry(encode_entry(example()))
    assert MAX_ENTRY_BYTES == 1 << 30


def meta(**changes):
    value = json.loads(encode_entry(example())[HEADER.size :].split(b"{}//")[0])
    value.update(changes)
    return value


BAD_META = {
    "nothing": b"",
    "no JSON": b"{",
    "something after it": canonical_json(meta()) + b"{}",
    "white space around it": b" " + canonical_json(meta()) + b"\n",
    "not UTF-8": b"\xff\xfe\xfd",
    "a list": b"[]",
    "null": b"null",
    "deep nesting": b"[" * 100_000,
    "missing fields": b'{"kind":"ptx"}',
    "unknown kind": canonical_json(meta(kind="exe")),
    "kind of another type": canonical_json(meta(kind=["ptx"])),
    "arch of another type": canonical_json(meta(arch=75)),
    "log of another type": canonical_json(meta(log=None)),
    "seconds of another type": canonical_json(meta(compile_seconds=[])),
    "seconds beyond any float": canonical_json(meta(compile_seconds=10**400)),
    "seconds that are no number": canonical_json(meta()).replace(b'"compile_seconds":0.25', b'"compile_seconds":NaN'),
    "seconds that never end": canonical_json(meta()).replace(b'"compile_seconds":0.25', b'"compile_seconds":1e999'),
    "negative seconds": canonical_json(meta(compile_seconds=-1.0)),
    "short toolchain": canonical_json(meta(toolchain=["nvrtc"])),
    "toolchain that is text": canonical_json(meta(toolchain="abc")),
    "toolchain of another type": canonical_json(meta(toolchain=["nvrtc", 1, "x"])),
    "kernels of another type": canonical_json(meta(kernels=7)),
    "short kernel": canonical_json(meta(kernels=[["k"]])),
    "two kernels of one name": canonical_json(meta(kernels=[["k", "a", [], None, None], ["k", "b", [], None, None]])),
    "threads of another type": canonical_json(meta(kernels=[["k", "k", [], "8", None]])),
    "threads that are a bool": canonical_json(meta(kernels=[["k", "k", [], True, None]])),
    "short block": canonical_json(meta(kernels=[["k", "k", [], None, [1, 2]]])),
    "parameter of another type": canonical_json(meta(kernels=[["k", "k", [[0, 8, 8, "u64", "x", "", 1, False]], None, None]])),
    "negative offset": canonical_json(meta(kernels=[["k", "k", [[-8, 8, 8, "u64", "x", "", True, False]], None, None]])),
    "types of another type": canonical_json(meta(types={"k": ["float *"]})),
    "types of no kernel": canonical_json(meta(types=[])),
    "types of too many kernels": canonical_json(meta(types=[["float *"], []])),
    "types of too many parameters": canonical_json(meta(types=[["float *", "int"]])),
    "resources of another type": canonical_json(meta(resources=7)),
    "resources of no kernel": canonical_json(meta(resources=[])),
    "resources of too many kernels": canonical_json(meta(resources=[None, None])),
    "short resources": canonical_json(meta(resources=[[1] * 8])),
    "long resources": canonical_json(meta(resources=[[1] * 10])),
    "resources that are text": canonical_json(meta(resources=["123456789"])),
    "a negative resource": canonical_json(meta(resources=[[1, 1, 1, 1, -1, 1, 1, 1, 1]])),
    "a resource that is a bool": canonical_json(meta(resources=[[1, 1, 1, 1, True, 1, 1, 1, 1]])),
    "a resource that is none": canonical_json(meta(resources=[[1, 1, 1, 1, None, 1, 1, 1, 1]])),
    "half of the spills": canonical_json(meta(resources=[[1, 1, 1, 1, 1, 1, None, 1, 1]])),
    "a type that is no text": canonical_json(meta(types=[[1]])),
    "a type for each letter": canonical_json(meta(types=["f"])),
    "short parameter": canonical_json(meta(kernels=[["k", "k", [[0]], None, None]])),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD_META.values(), ids=BAD_META.keys())
def test_garbage_metadata_with_a_right_digest_is_refused(bad):
    with pytest.raises(ArtifactError):
        decode_entry(entry(bad))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | text,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["arch", "compile_seconds", "kernels", "kind", "log", "name", "resources", "toolchain", "types"]
        ),
        json_values,
    )
)
def test_any_json_with_a_right_digest_gives_an_artifact_or_artifact_error(changes):
    try:
        artifact = decode_entry(entry(json.dumps(meta(**changes)).encode()))
    except ArtifactError:
        return
    assert decode_entry(encode_entry(artifact)) == artifact


@pytest.mark.parametrize("bad", [b"", b"[]", b"{", b"null", b"[" * 100_000, b"\xff"])
def test_garbage_factors_with_a_right_digest_are_refused(bad):
    data = entry(canonical_json(meta()), factors=bad)
    with pytest.raises(ArtifactError, match="unreadable factors"):
        decode_factors(data)


def test_canonical_json_has_one_spelling():
    assert canonical_json({"b": 1, "a": [1.5, "é"]}) == '{"a":[1.5,"é"],"b":1}'.encode()
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(math.nan)


def test_save_and_open(tmp_path):
    example().save(tmp_path / "k.jl")
    assert fields_of(Artifact.open(tmp_path / "k.jl")) == fields_of(example())
    assert [path.name for path in tmp_path.iterdir()] == ["k.jl"]


def test_save_replaces_as_a_whole_from_many_threads(tmp_path):
    target = tmp_path / "k.jl"
    wanted = [example(data=bytes([number]) * 5000) for number in range(8)]
    threads = [threading.Thread(target=artifact.save, args=(target,)) for artifact in wanted]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Artifact.open(target).data in [artifact.data for artifact in wanted]
    assert [path.name for path in tmp_path.iterdir()] == ["k.jl"]


def test_a_failed_save_leaves_nothing_and_the_old_file(tmp_path):
    with pytest.raises(OSError, match="gone"):
        example().save(tmp_path / "gone" / "k.jl")
    (tmp_path / "directory").mkdir()
    with pytest.raises(OSError, match="directory") as caught:
        example().save(tmp_path / "directory")
    assert (caught.value.filename, caught.value.filename2) == (str(tmp_path / "directory"), None)  # as it was given
    assert [path.name for path in tmp_path.iterdir()] == ["directory"]


def test_open_names_the_file(tmp_path):
    (tmp_path / "k.jl").write_bytes(b"something else entirely, " * 10)
    with pytest.raises(ArtifactError, match=r"k\.jl: not a jitload entry"):
        Artifact.open(tmp_path / "k.jl")
    with pytest.raises(FileNotFoundError):
        Artifact.open(tmp_path / "gone.jl")


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(artifacts)
def test_pickling_keeps_every_field(artifact):
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert fields_of(pickle.loads(pickle.dumps(artifact, protocol))) == fields_of(artifact)


def test_a_parameter_pickled_before_types_is_one_of_unknown_type():
    made = Parameter.__new__(Parameter)
    state = Parameter(0, 8, 8, "u64", name="x", cpp="float *").__getstate__()
    del state["cpp"]
    made.__setstate__(state)
    assert made == Parameter(0, 8, 8, "u64", name="x")


def test_a_kernel_pickled_before_resources_has_none():
    made = KernelInfo.__new__(KernelInfo)
    state = KernelInfo("k", "s", [], resources=Resources(registers=8)).__getstate__()
    del state["resources"]
    made.__setstate__(state)
    assert made == KernelInfo("k", "s", [])


def test_a_kernel_with_other_values():
    kernel = KernelInfo("k", "s", [Parameter(0, 4, 4, "u32")], max_threads=32, required_block=(8, 1, 1))
    assert kernel.replace() == kernel
    assert kernel.replace(name="n", resources=Resources(registers=8)) == KernelInfo(
        "n", "s", kernel.params, max_threads=32, required_block=(8, 1, 1), resources=Resources(registers=8)
    )


def parts_of(artifact):
    return [artifact, artifact.toolchain, artifact.kernels["k"], artifact.kernels["k"].params[0]]


@pytest.mark.parametrize(
    "value",
    parts_of(example()) + parts_of(decode_entry(encode_entry(example()))),
    ids=lambda value: type(value).__name__,
)
def test_frozen(value):
    for name in value.__slots__:
        with pytest.raises(AttributeError, match="frozen"):
            setattr(value, name, None)
        with pytest.raises(AttributeError, match="frozen"):
            delattr(value, name)
    with pytest.raises(AttributeError):
        value.something_new = 1


def test_kernels_cannot_be_changed():
    with pytest.raises(TypeError):
        example().kernels["k"] = None
    assert isinstance(example().kernels["k"].params, tuple)


def test_equal_by_key_and_bytes():
    assert example() == example(log="another log", compile_seconds=9.0)
    assert hash(example()) == hash(example(log="another log"))
    assert example() != example(data=b"other")
    assert example() != example(key="cd" * 32)


def test_kind_is_its_name():
    assert Kind.CUBIN == "cubin"
    assert f"{Kind.CUBIN} {Kind.PTX!s} {Kind.LTOIR:>6}" == "cubin ptx  ltoir"
    assert {Kind.PTX: 1}["ptx"] == 1


def test_parameter_bytes_end_with_the_last_parameter():
    params = [Parameter(0, 4, 4, "u32"), Parameter(8, 8, 8, "u64")]
    assert KernelInfo("k", "k", params).parameter_bytes == 16
    assert KernelInfo("k", "k", []).parameter_bytes == 0


def test_an_artifact_error_is_ours_and_pickles():
    error = ArtifactError("entry too short")
    assert isinstance(error, JitloadError)
    assert str(pickle.loads(pickle.dumps(error))) == "entry too short"
