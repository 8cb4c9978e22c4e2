"""Who may put what before whom: entries and closure records under keys that are demanded, and secrets that are none's."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

import jitload
from jitload.bundles.sign import generate_keys
from jitload.format.entry import encode_entry
from jitload.headers.record import Variant, encode_record
from jitload.settings.address import Address
from jitload.tiers.remote.layout import split_prefix
from jitload.trust.policy import key_id, parse_public_key
from jitload.trust.trailer import Signer
from jitload.values import Toolchain
from tests.tiers.conftest import make_artifact

ARTIFACT = make_artifact(1)
KEY, DIGEST = ARTIFACT.key, "cd" * 32
ENTRY = encode_entry(ARTIFACT)
VARIANT = Variant("12" * 32, Toolchain("nvrtc", "12.9.86", "ab" * 32), (), ())
RECORD = encode_record(DIGEST, (VARIANT,))


@pytest.fixture
def keys(tmp_path):
    """The key of CI and that of somebody else: (path, public key) each."""
    return [(str(tmp_path / name), generate_keys(tmp_path / name)) for name in ("ci", "other")]


def soon():
    return time.monotonic() + 20


def test_what_is_signed_is_taken_and_lands_without_its_signature(shared, remote_of, keys, host):
    ci, public = keys[0]
    assert host(shared.url, "ci", remote_key=ci).run(1)["compiles"] == 1
    said = host(shared.url, "a", remote_trust=public).run(1)
    assert (said["hits"], said["errors"]) == ({"remote": 1}, {})
    assert host(shared.url, "a", remote_trust=public).run(1)["hits"] == {"disk": 1}
    assert host(shared.url, "b").run(1)["hits"] == {"remote": 1}  # who demands nothing reads it too


def forgeries(keys, padding=0):
    ci, other = (Signer(path) for path, _ in keys)
    entry, second = (encode_entry(make_artifact(number, padding=padding)) for number in (1, 2))
    alien = entry.replace(b"ret;", b"trap", 1)
    signed = ci.sign(entry, "entry", KEY)
    return {
        "unsigned": (entry, "unsigned"),
        "another's signature": (other.sign(entry, "entry", KEY), "untrusted"),
        "signed under another key": (ci.sign(second, "entry", make_artifact(2).key), "untrusted"),
        "signed as something else": (ci.sign(entry, "closure record", KEY), "untrusted"),
        "other bytes under the signature": (alien + signed[len(entry) :], "untrusted"),
        "another key inside": (ci.sign(second, "entry", KEY), "damaged"),
        "no trailer": (entry + b"JLSIGNED", "unsigned"),
        "a trailer of nothing": (entry + b"[]\x02\0\0\0JLSIGNED", "unsigned"),
        "something before the trailer": (entry + b"x" + signed[len(entry) :], "untrusted"),
    }


FORGERIES = (
    "unsigned",
    "another's signature",
    "signed under another key",
    "signed as something else",
    "other bytes under the signature",
    "another key inside",
    "no trailer",
    "a trailer of nothing",
    "something before the trailer",
)


@pytest.mark.parametrize("padding", [0, 300_000], ids=["whole", "in pieces"])
@pytest.mark.parametrize("case", FORGERIES)
def test_an_entry_of_a_foreign_writer_is_never_served(redis, remote_of, keys, case, padding):
    data, word = forgeries(keys, padding)[case]
    remote = remote_of(redis.url, remote_trust=keys[0][1])
    remote.store.write_entry(KEY, data, soon(), replace=True)
    assert remote.read(KEY) == (None, word)
    assert remote.peek(KEY)[0] is None
    assert jitload.stats().remote_errors[word] >= 1


@pytest.mark.parametrize("padding", [0, 300_000], ids=["whole", "in pieces"])
def test_a_signed_entry_is_served_whether_a_signature_is_demanded_or_not(redis, remote_of, keys, padding):
    ci, public = keys[0]
    made = make_artifact(1, padding=padding)
    entry = encode_entry(made)
    for trust in (public, None):
        remote = remote_of(redis.url, remote_trust=trust)
        remote.store.write_entry(KEY, Signer(ci).sign(entry, "entry", KEY), soon(), replace=True)
        assert remote.read(KEY) == (made, "hit")
        remote.store.write_entry(KEY, entry + b"x", soon(), replace=True)
        assert remote.read(KEY) == (None, "damaged" if trust is None else "unsigned")
        remote.flush()
        assert jitload.Cache.default().disk.read_entry(KEY)[1] == entry


def test_every_table_case_is_tried(keys):
    assert tuple(forgeries(keys)) == FORGERIES


def test_a_revoked_key_and_too_few_keys_serve_nothing(redis, remote_of, keys, tmp_path):
    (ci, public), (_, other) = keys
    trust = tmp_path / "trust.json"
    signed = Signer(ci).sign(ENTRY, "entry", KEY)
    own = key_id(parse_public_key(public))
    for rows, words in [
        (f'"keys": [{{"key": "{public}"}}], "revoked": ["{own}"]', "untrusted"),
        (f'"keys": [{{"key": "{public}"}}, {{"key": "{other}"}}], "threshold": 2', "untrusted"),
        (f'"keys": [{{"key": "{public}"}}]', "hit"),
    ]:
        trust.write_text(f'{{"jitload trust": 1, {rows}}}')
        remote = remote_of(redis.url, remote_trust=str(trust))
        remote.store.write_entry(KEY, signed, soon(), replace=True)
        assert remote.read(KEY)[1] == words


def test_a_closure_record_is_signed_too(shared, remote_of, keys):
    """Else whoever writes could lead a request to what was signed for older headers of it."""
    ci, public = keys[0]
    remote = remote_of(shared.url, remote_trust=public)
    remote.store.add_record(DIGEST, RECORD, soon())
    assert remote.variants(DIGEST) == ((), "unsigned")
    remote.store.add_record(DIGEST, Signer(ci).sign(RECORD, "closure record", "ef" * 32), soon())
    assert remote.variants(DIGEST)[0] == ()
    remote.store.add_record(DIGEST, Signer(ci).sign(RECORD, "closure record", DIGEST), soon())
    assert remote.variants(DIGEST) == ((VARIANT,), "hit")


def test_who_demands_signatures_and_has_no_key_writes_nothing_and_holds_no_lease(redis, remote_of, keys):
    remote = remote_of(redis.url, remote_trust=keys[0][1])
    assert not remote.put(ARTIFACT)
    assert not remote.leases


def test_what_is_unsigned_in_the_place_of_what_is_signed_is_replaced(shared, remote_of, keys):
    ci, public = keys[0]
    remote = remote_of(shared.url, remote_key=ci)
    for there in (ENTRY, b"nonsense"):
        remote.store.write_entry(KEY, there, soon(), replace=True)
        remote.put(ARTIFACT)
        remote.flush()
        assert remote_of(shared.url, remote_trust=public).read(KEY)[0] == ARTIFACT


def test_a_trust_file_that_cannot_be_read_leaves_the_remote_alone(redis, remote_of, caplog):
    assert remote_of(redis.url, remote_trust="/nowhere/trust.json") is None
    assert "is not used" in caplog.text


def test_a_key_that_cannot_be_used_writes_nothing_unsigned(redis, remote_of, caplog):
    remote = remote_of(redis.url, remote_key="/nowhere/key")
    remote.put(ARTIFACT)
    remote.flush()
    assert remote.store.read_entry(KEY, 10_000, soon()) is None
    assert "nothing is written to the remote" in caplog.text


def test_strict_mode_asks_no_remote(redis, host):
    host(redis.url, "a").run(1)
    code = """
import jitload, json
try:
    jitload.compile('extern "C" __global__ void k(int *x) { *x = 1; }', kind="ptx", arch="compute_75")
except jitload.NotPrecompiledError:
    print(json.dumps({"refused": True}))
"""
    assert host(redis.url, "b", strict=1).run(program=code)["refused"]


SECRET = "geheim-7fk3"


URLS = (
    f"redis://someone:{SECRET}@127.0.0.1:1/0",
    f"redis://:{SECRET}@127.0.0.1:1/0?prefix=x",
    f"redis://127.0.0.1:1/0?password={SECRET}",
    f"redis://user:{SECRET}/with@slash@127.0.0.1:1/0",
    f"http://user:{SECRET}@127.0.0.1:1/x",
    f"http://127.0.0.1:1/x?sig={SECRET}",
    f"s3://bucket/x?endpoint=http://user:{SECRET}@127.0.0.1:1",
    f"s3://bucket/x?secret_access_key={SECRET}",
    "s3://bucket/x?endpoint=http://127.0.0.1:1",
    f"redis://user:{SECRET}@127.0.0.1:none/0",
    f"rediss://user:{SECRET}@",
    f"ftp://user:{SECRET}@127.0.0.1/0",
    SECRET,
)
SAY_ALL = """
import sys, traceback, logging
logging.basicConfig(level=0)
import jitload
from jitload import config
request = jitload.CompileRequest('extern "C" __global__ void k() {}', kind="ptx", arch="compute_75")
for number, url in enumerate(sys.argv[2:]):
    try:
        with jitload.Session(remote=url, cache_dir=f"{sys.argv[1]}/{number}", record=f"{sys.argv[1]}/{number}.jlw"):
            print(config.current(), config.current().options(), jitload.stats())
            print(jitload.compile(request.source, kind="ptx", arch="compute_75"), jitload.explain(request))
            print(jitload.explain(request).to_json(), vars(jitload.Cache.default()), jitload.Cache.default().remote)
    except Exception:
        traceback.print_exc()
"""


@pytest.mark.parametrize(
    "command", [("-c", SAY_ALL), ("-m", "jitload", "doctor", "--json"), ("-m", "jitload", "doctor")]
)
def test_what_is_secret_in_an_address_is_written_nowhere(command, tmp_path):
    """Not by a log of everything, nor errors, doctor, explain, workloads, or the repr of settings."""
    environment = {
        **os.environ,
        "JITLOAD_REMOTE": URLS[0],
        "JITLOAD_LOG": "debug",
        "JITLOAD_DEVICE": "cpu",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_ACCESS_KEY_ID": SECRET,
        "AWS_REGION": "us-east-1",
        "PYTHONPATH": str(jitload.__file__).rpartition("/jitload/")[0],
    }
    arguments = (str(tmp_path), *URLS) if command[0] == "-c" else ()
    done = subprocess.run([sys.executable, *command, *arguments], env=environment, capture_output=True, timeout=200)
    said = done.stdout + done.stderr
    assert SECRET.encode() not in said, said.decode()
    assert b"127.0.0.1:1" in said
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]


def test_the_prefix_is_ours_and_not_the_clients():
    assert split_prefix(Address("redis://h/0?prefix=a/b&db=3")) == ("redis://h/0?db=3", "a/b/1")
    assert split_prefix(Address("s3://bucket")) == ("s3://bucket", "jitload/1")
