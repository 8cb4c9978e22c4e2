"""Machines of a network of their own: one for servers, and others that reach it by a cable each, as namespaces."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

_CLONE_NEWNET = 0x40000000


class NoNetworkError(Exception):
    """Why there is none here."""


class Network:
    """As long as it is open: `count` machines, and one that has the servers.

    Attributes:
        server: what a command of the server's machine begins with.
        machines: for each machine, what a command there begins with, and the server's address as seen from it.
    """

    def __init__(self, count: int) -> None:
        self._held: list[subprocess.Popen] = []
        self.machines: list[tuple[list[str], str]] = []
        missing = [name for name in ("ip", "nsenter", "unshare") if shutil.which(name) is None]
        if missing:
            raise NoNetworkError(f"no {', '.join(missing)}")
        try:
            server = self._hold()
            self.server = _entered(server)
            _run(*self.server, "ip", "link", "set", "lo", "up")
            for number in range(count):
                self._plug(server, self._hold(), number)
        except BaseException:
            self.close()
            raise

    def _hold(self) -> int:
        """A process in new namespaces, which live as long as it does."""
        command = ["unshare", "--net", "--uts", "sh", "-c", "echo held; exec sleep 3600"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._held.append(process)
        if process.stdout.readline() != "held\n":
            raise NoNetworkError(process.communicate(timeout=20)[1].strip())
        return process.pid

    def _plug(self, server: int, machine: int, number: int) -> None:
        cable = ["ip", "link", "add", f"to{number}", "type", "veth", "peer", "name", "eth0", "netns", str(machine)]
        _run(*self.server, *cable)
        for enter, device, address in (
            (self.server, f"to{number}", f"10.77.{number}.1/24"),
            (_entered(machine), "eth0", f"10.77.{number}.2/24"),
        ):
            _run(*enter, "ip", "address", "add", address, "dev", device)
            _run(*enter, "ip", "link", "set", device, "up")
        _run(*_entered(machine), "hostname", f"machine-{number}")
        self.machines.append((_entered(machine), f"10.77.{number}.1"))

    def at_server(self, function, *arguments):
        """What a function gives on the server's machine: in a thread that has entered its network."""
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(self._within, function, *arguments).result()

    def _within(self, function, *arguments):
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/proc/{self._held[0].pid}/ns/net", "rb") as namespace:
            if libc.setns(namespace.fileno(), _CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return function(*arguments)

    def close(self) -> None:
        for process in self._held:
            process.kill()
        for process in self._held:
            process.wait(timeout=20)
            process.stdout.close()
            process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()


def _entered(pid: int) -> list[str]:
    return ["nsenter", "--net", "--uts", "--target", str(pid), "--"]


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise NoNetworkError(f"{' '.join(command[-8:])}: {done.stderr.strip()}")


@contextlib.contextmanager
def network(count: int):
    """A `Network` of so many machines and "", or None and why there is none."""
    try:
        made = Network(count)
    except (NoNetworkError, OSError) as error:
        yield None, str(error)
        return
    with made:
        yield made, ""
