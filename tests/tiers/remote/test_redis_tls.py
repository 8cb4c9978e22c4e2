"""rediss://: a Redis behind TLS is a remote like any other, and one whose certificate is not trusted is away."""

from __future__ import annotations

import subprocess
import time

import pytest

import jitload
from jitload.tiers.remote.deadline import OPERATION_SECONDS
from tests.tiers.conftest import make_artifact
from tests.tiers.remote.servers import http_server, redis_server, require

KEY = make_artifact(1).key
SLACK_SECONDS = 1.8


class Authority:
    """A certificate authority of one test, made by openssl."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir()
        self.certificate = directory / "ca.pem"
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"]
        self._make("req", "-x509", *key, "-subj", "/CN=ca", "-days", "2", "-keyout", "ca.key", "-out", "ca.pem")

    def issue(self, name, names="DNS:localhost,IP:127.0.0.1"):
        """The certificate and the key of somebody."""
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", f"{name}.key"]
        (self.directory / f"{name}.ext").write_text(f"subjectAltName={names}\n")
        self._make("req", *key, "-subj", f"/CN={name}", "-out", f"{name}.csr")
        by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", f"{name}.ext", "-days", "2"]
        self._make("x509", "-req", "-in", f"{name}.csr", *by, "-out", f"{name}.pem")
        return self.directory / f"{name}.pem", self.directory / f"{name}.key"

    def _make(self, *arguments):
        command = [require("openssl"), *arguments]
        done = subprocess.run(command, cwd=self.directory, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tls")
    return Authority(directory / "right"), Authority(directory / "wrong")


@pytest.fixture
def secure(authorities, tmp_path):
    """`secure(names=..., ask_clients=False)`: a Redis behind TLS alone, as long as the test runs."""
    servers = []

    def start(ask_clients=False, **how):
        certificate, key = authorities[0].issue("server", **how)
        options = ["--port", "0", "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
        options += ["--tls-ca-cert-file", str(authorities[0].certificate)]
        options += ["--tls-auth-clients", "yes" if ask_clients else "no"]
        server = redis_server(tmp_path, *options)
        server.command += ["--tls-port", str(server.port)]
        servers.append(server.start())
        return server

    yield start
    for server in servers:
        server.stop()


def url_of(server, authority=None, **more):
    parameters = {**({} if authority is None else {"ssl_ca_certs": authority.certificate}), **more}
    return f"rediss://127.0.0.1:{server.port}/0?" + "&".join(f"{name}={value}" for name, value in parameters.items())


def test_machines_share_a_redis_behind_tls(secure, authorities, host):
    server = secure()
    url = url_of(server, authorities[0])
    first = host(url, "a").run(1)
    assert (first["compiles"], first["errors"], first["log"]) == (1, {}, "")
    assert host(url, "b").run(1)["hits"] == {"remote": 1}


def test_a_server_may_ask_for_the_certificate_of_a_client(secure, authorities, remote_of):
    server = secure(ask_clients=True)
    certificate, key = authorities[0].issue("client")
    remote = remote_of(url_of(server, authorities[0], ssl_certfile=certificate, ssl_keyfile=key))
    assert remote.put(make_artifact(1))
    remote.flush()
    assert remote.read(KEY) == (make_artifact(1), "hit")
    assert remote_of(url_of(server, authorities[0])).read(KEY)[1] == "away"


WRONG = {
    "another authority": ({}, "its certificate is not trusted here"),
    "another name": ({"names": "DNS:elsewhere.example"}, "its certificate is for another name"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_certificate_that_is_not_trusted_is_a_reason_and_no_exception(secure, authorities, remote_of, caplog, case):
    how, why = WRONG[case]
    url = url_of(secure(**how), authorities[1 if case == "another authority" else 0])
    remote = remote_of(url)
    assert [remote.read(KEY)[1] for _ in range(3)] == ["away"] * 3
    assert not remote.put(make_artifact(1))
    said = [record.message for record in caplog.records]
    assert len(said) == 1
    assert f"away: {why}" in said[0]
    assert "left alone" in said[0]
    assert remote.peek(KEY)[1].startswith(f"away ({why}; asked again in ")
    assert jitload.stats().remote_errors == {"away": 1}


def test_tls_where_there_is_none_and_none_where_there_is(secure, authorities, redis, remote_of, caplog, tmp_path):
    assert remote_of(f"redis://127.0.0.1:{secure().port}/0").read(KEY)[1] == "away"
    # It waits for the rest of what it takes for a command.
    assert remote_of(url_of(redis, authorities[0])).read(KEY)[1] == "timed out"
    (tmp_path / "web").mkdir()
    with http_server(tmp_path / "web") as web:
        assert remote_of(url_of(web, authorities[0])).read(KEY)[1] == "away"
    assert "away: it does not speak TLS" in caplog.records[-1].message


@pytest.mark.parametrize("known", [True, False], ids=["an open connection", "a new connection"])
def test_a_server_behind_tls_that_stands_still_costs_one_deadline(secure, authorities, remote_of, known):
    server = secure()
    remote = remote_of(url_of(server, authorities[0]))
    if known:
        assert remote.read(KEY)[1] == "absent"
    server.pause()
    begun = time.monotonic()
    assert remote.read(KEY)[1] == "timed out"
    assert time.monotonic() - begun < OPERATION_SECONDS + SLACK_SECONDS
    begun = time.monotonic()
    assert remote.read(KEY)[1] == "away"
    assert time.monotonic() - begun < 0.5


def test_a_certificate_file_that_is_not_there_leaves_the_remote_out_or_away(secure, remote_of, tmp_path):
    remote = remote_of(f"rediss://127.0.0.1:{secure().port}/0?ssl_ca_certs={tmp_path}/nowhere.pem")
    assert remote.read(KEY)[1] == "away"
