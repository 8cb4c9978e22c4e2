"""Real servers on loopback, each a process of its own in a directory of its own; whoever starts one stops it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def require(program):
    """The path of a program, which CI installs."""
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


class Server:
    """A process that listens on a port."""

    def __init__(self, command, port, directory, network=None):
        self.command, self.port, self.directory = command, port, directory
        self.network = network
        if network is not None:  # on another machine than this one
            self.command = [*network.server, *command]
        self.process = None
        self.paused = False

    def start(self):
        with open(self.directory / "server.log", "ab") as log:
            self.process = subprocess.Popen(self.command, cwd=self.directory, stdout=log, stderr=log)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with contextlib.suppress(OSError), self.do_there(socket.create_connection, ("127.0.0.1", self.port), 1):
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise RuntimeError((self.directory / "server.log").read_text()[-2000:])

    def do_there(self, function, *arguments):
        """What a function gives on the machine of the server."""
        return function(*arguments) if self.network is None else self.network.at_server(function, *arguments)

    def pause(self):
        os.kill(self.process.pid, signal.SIGSTOP)
        self.paused = True

    def go_on(self):
        os.kill(self.process.pid, signal.SIGCONT)
        self.paused = False

    def stop(self):
        if self.process is None:
            return
        if self.paused:
            self.go_on()
        self.process.kill()
        self.process.wait(timeout=20)
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class RedisServer(Server):
    def ask(self, *command):
        """The reply to a command, as anybody may give it."""
        client = pytest.importorskip("redis", reason="redis is not installed").Redis(port=self.port)
        with contextlib.closing(client):
            return client.execute_command(*command)

    def info(self, section):
        """What it says of itself, as text in bytes."""
        with socket.create_connection(("127.0.0.1", self.port), 10) as connection:
            connection.sendall(f"INFO {section}\r\nQUIT\r\n".encode())
            return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def redis_server(directory, *options, network=None):
    port = free_port()
    command = [require("redis-server"), "--port", str(port), "--save", "", "--appendonly", "no"]
    command += ["--bind", "127.0.0.1"] if network is None else ["--protected-mode", "no"]
    return RedisServer([*command, *options], port, directory, network)


def s3_server(directory, network=None):
    """moto's server, which knows the conditions of S3."""
    pytest.importorskip("moto", reason="moto is not installed")
    port, place = free_port(), "127.0.0.1" if network is None else "0.0.0.0"
    return Server([sys.executable, "-m", "moto.server", "-H", place, "-p", str(port)], port, directory, network)


def http_server(directory):
    """nginx over the directory `files`."""
    port = free_port()
    (directory / "files").mkdir(exist_ok=True)
    (directory / "nginx.conf").write_text(
        f"""
{"user root;" if os.getuid() == 0 else ""} daemon off; worker_processes 1; pid {directory}/pid; error_log {directory}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log {directory}/access.log; client_body_temp_path {directory}/t1; proxy_temp_path {directory}/t2;
  fastcgi_temp_path {directory}/t3; uwsgi_temp_path {directory}/t4; scgi_temp_path {directory}/t5;
  server {{ listen 127.0.0.1:{port}; root {directory}/files; }}
}}
"""
    )
    return Server([require("nginx"), "-c", str(directory / "nginx.conf"), "-p", str(directory)], port, directory)
