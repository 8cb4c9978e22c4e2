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

    def __init__(self, command, port, directory):
        self.command, self.port, self.directory = command, port, directory
        self.process = None
        self.paused = False

    def start(self):
        with open(self.directory / "server.log", "ab") as log:
            self.process = subprocess.Popen(self.command, cwd=self.directory, stdout=log, stderr=log)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.01)
        raise RuntimeError((self.directory / "server.log").read_text()[-2000:])

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


def redis_server(directory, *options):
    port = free_port()
    command = [require("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    return RedisServer([*command, *options], port, directory)


def s3_server(directory):
    """moto's server, which knows the conditions of S3."""
    pytest.importorskip("moto", reason="moto is not installed")
    port = free_port()
    return Server([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port, directory)


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
