"""Debian's docker-registry on loopback, with or without credentials, and a token service for it."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import http.server
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest

USER, PASSWORD = "ci", "pass word"
HTPASSWD = f"{USER}:$2y$04$abcdefghijklmnopqrstuuFcV8WPKEefLKdOWfX8pW1yTVya21P7a\n"  # bcrypt of PASSWORD


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextlib.contextmanager
def running(directory, auth: dict | None = None):
    """Its "host:port"; `auth` as in its configuration."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed")
    directory.mkdir(parents=True, exist_ok=True)
    host = f"127.0.0.1:{free_port()}"
    config = {
        "version": 0.1,
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}},
        "http": {"addr": host},
        **({"auth": auth} if auth else {}),
    }
    (directory / "config.yml").write_text(json.dumps(config))  # JSON is YAML too
    with open(directory / "log", "wb") as log:
        command = [program, "serve", str(directory / "config.yml")]
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + 30
        while not _answers(host):
            assert process.poll() is None, (directory / "log").read_text()
            assert time.monotonic() < end
            time.sleep(0.02)
        yield host
    finally:
        process.kill()
        process.wait()


def _answers(host: str) -> bool:
    try:
        urllib.request.urlopen(f"http://{host}/v2/", timeout=5).close()
    except urllib.error.HTTPError as error:
        error.close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def serving(handler):
    """`(host, requests)` of an HTTP server; `handler(method, path, headers)` gives (status, headers, body)."""
    seen: list[tuple[str, str, dict[str, str]]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def _do(self):
            seen.append((self.command, self.path, dict(self.headers)))
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, body = handler(self.command, self.path, self.headers)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_HEAD = do_PUT = do_POST = _do

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


def token_service(directory):
    """A handler for `serving` that gives tokens of a new key to USER, and the certificate file for the registry."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tokens")])
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "root.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    chain = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()

    def part(value) -> bytes:
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        return base64.urlsafe_b64encode(data).rstrip(b"=")

    def handler(method, path, headers):
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(path).query)
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if headers.get("Authorization") != expected:
            return 401, {}, b'{"errors": [{"code": "UNAUTHORIZED", "message": "no"}]}'
        kind, repository, actions = asked["scope"][0].split(":")
        stamp = int(time.time())
        claims = {
            "iss": "tokens", "sub": USER, "aud": asked["service"][0], "jti": "1",
            "exp": stamp + 300, "nbf": stamp - 10, "iat": stamp,
            "access": [{"type": kind, "name": repository, "actions": actions.split(",")}],
        }  # fmt: skip
        signed = part({"typ": "JWT", "alg": "RS256", "x5c": [chain]}) + b"." + part(claims)
        token = signed + b"." + part(key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))
        return 200, {"Content-Type": "application/json"}, json.dumps({"token": token.decode()}).encode()

    return handler, directory / "root.pem"
