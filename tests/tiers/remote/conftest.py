"""Servers, and hosts that share them."""

from __future__ import annotations

import itertools
import json
import os
import pathlib
import subprocess
import sys
import urllib.request

import pytest

import jitload
from tests.tiers.remote.servers import redis_server, s3_server

_BUCKETS = itertools.count()
REPOSITORY = pathlib.Path(jitload.__file__).parent.parent

#: Compiles a kernel of each number that it is given, and tells what it took.
PROGRAM = """
import json, sys, time
import jitload
times = []
for number in sys.argv[1:]:
    start = time.monotonic()
    source = 'extern "C" __global__ void k(int *x) { *x = %s; }' % number
    data = jitload.compile(source, kind="ptx", arch="compute_75").data
    assert b"k(" in data and (", %s;" % number).encode() in data, data
    times.append(time.monotonic() - start)
stats = jitload.stats()
print(json.dumps({
    "times": times, "compiles": stats.compiles, "hits": {k: v for k, v in stats.hits.items() if v},
    "misses": dict(stats.misses), "errors": dict(stats.remote_errors), "waits": stats.lease_waits,
}))
"""


@pytest.fixture
def redis(tmp_path):
    """A Redis of this test's own, running."""
    directory = tmp_path / "redis"
    directory.mkdir()
    with redis_server(directory) as server:
        server.url = f"redis://127.0.0.1:{server.port}/0"
        server.plant = lambda name: server.ask("LPUSH", f"jitload/1/{name}", "nonsense")
        yield server


class Host:
    """What a machine is to a remote: a cache directory of its own, and where `enter` says so a network of its own."""

    def __init__(self, directory, url, *, enter=(), **variables):
        self.directory = directory
        self.enter = enter
        variables = {f"JITLOAD_{name.upper()}": str(value) for name, value in variables.items()}
        self.environment = {**os.environ, "JITLOAD_CACHE_DIR": str(directory), "JITLOAD_LOG": "warning"}
        self.environment |= {"PYTHONPATH": str(REPOSITORY), "JITLOAD_DEVICE": "cpu"}
        self.environment |= {"JITLOAD_REMOTE": url, **variables} if url else variables

    def start(self, *numbers, program=PROGRAM):
        command = [*self.enter, sys.executable, "-c", program, *map(str, numbers)]
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def run(self, *numbers, program=PROGRAM):
        return self.end(self.start(*numbers, program=program))

    def end(self, process):
        """What the program of a process printed, and what it logged as "log"."""
        out, log = process.communicate(timeout=120)
        assert process.returncode == 0, log[-4000:]
        return {**json.loads(out), "log": log}


@pytest.fixture
def host(tmp_path):
    """`host(url, name="a")`: a machine."""

    def make(url, name="a", **variables):
        return Host(tmp_path / f"host-{name}", url, **variables)

    return make


def put(url, data=None):
    urllib.request.urlopen(urllib.request.Request(url, data, method="PUT")).close()


@pytest.fixture(scope="module")
def s3_running(tmp_path_factory):
    """An S3 for the tests of a file, which takes a second to start."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3(s3_running, monkeypatch):
    """An S3, with a bucket of this test's own, and its credentials in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-secret-of-this-test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    endpoint, bucket = f"http://127.0.0.1:{s3_running.port}", f"kernels-{next(_BUCKETS)}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    put(f"{endpoint}/{bucket}")
    s3_running.url = f"s3://{bucket}/team"
    s3_running.plant = lambda name: put(f"{endpoint}/{bucket}/team/jitload/1/{name}", b"nonsense")
    yield s3_running
    if s3_running.paused:
        s3_running.go_on()


@pytest.fixture
def directory(tmp_path):
    """A directory that machines share."""

    class Directory:
        url = f"file://{tmp_path}/shared"
        path = tmp_path / "shared"

        def plant(self, name):
            path = self.path / "jitload/1" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"nonsense")

    return Directory()


@pytest.fixture(params=["redis", "s3", "directory"])
def shared(request):
    """Each of what machines can share; `plant(name)` puts something there that jitload never would."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def remote_of(tmp_path):
    """`remote_of(url)`: the tier in a session of its own, which the fixture leaves again."""
    sessions = []

    def make(url, **options):
        session = jitload.Session(cache_dir=tmp_path / f"cache-{len(sessions)}", remote=url, **options)
        session.__enter__()
        sessions.append(session)
        return jitload.Cache.default().remote

    yield make
    for session in reversed(sessions):
        session.__exit__(None, None, None)
