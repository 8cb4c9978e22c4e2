"""A TCP proxy that stands between a client and a server, and does what networks do."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time

from tests.tiers.remote.servers import free_port


class Proxy:
    """Passes bytes on until it is told otherwise.

    Attributes:
        slow_seconds: each byte of an answer comes so long after the one before; 0 for at once.
        reset_after: an answer is cut by a reset behind so many bytes; None for never.
    """

    def __init__(self, port):
        self.target = port
        self.port = free_port()
        self.slow_seconds = 0.0
        self.reset_after = None
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._open = [self._listener]
        self._over = False
        self._threads = []
        self._run(self._serve)

    def _run(self, work, *arguments):
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self):
        while not self._over:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(near)
            try:
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                near.close()
                continue
            self._open.append(far)
            self._run(self._pass, near, far, False)
            self._run(self._pass, far, near, True)

    def _pass(self, source, target, answers):
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not answers or not (self.slow_seconds or self.reset_after is not None):
                    target.sendall(data)
                    continue
                for byte in data:
                    if self.reset_after is not None and passed >= self.reset_after:
                        target.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        target.shutdown(socket.SHUT_RD)  # whoever reads it would keep it open
                        time.sleep(0.02)
                        target.close()
                        return
                    target.sendall(bytes([byte]))
                    passed += 1
                    time.sleep(self.slow_seconds)
        for one in (source, target):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._over = True
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for one in self._open:
            one.close()
