"""Starts and stops the two servers the interop tests talk to.

Every server started here is ended here, by its own process id, also when the
test fails. Ports are chosen by the kernel: the server is told `-p -1` and
writes the port it got to the file named by MEMCACHED_PORT_FILENAME.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

READY_SECONDS_MAX = 20
REFERENCE = os.environ.get("REFERENCE", "/usr/bin/memcached")


# A test that is told to stop leaves its `with` blocks, and so ends its servers.
signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))


class Server:
    """One running server; use it in a `with` block."""

    def __init__(self, binary, *options):
        self.binary = binary
        self.options = [str(option) for option in options]
        self.process = None
        self.port = None

    def again(self):
        """Another server of the same kind, not started yet."""
        return Server(self.binary, *self.options)

    def __enter__(self):
        with tempfile.TemporaryDirectory() as folder:
            ports = os.path.join(folder, "ports")
            command = [self.binary, "-l", "127.0.0.1", "-p", "-1", *self.options]
            if os.geteuid() == 0:
                command += ["-u", "root"]
            self.errors = tempfile.TemporaryFile()
            self.process = subprocess.Popen(
                command,
                env=dict(os.environ, MEMCACHED_PORT_FILENAME=ports),
                stdout=subprocess.DEVNULL,
                stderr=self.errors,
            )
            try:
                self.port = self._wait_for_port(ports)
            except BaseException:
                self.stop()
                raise
        return self

    def _wait_for_port(self, ports):
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.binary} ended with {self.process.returncode} at start")
            if os.path.exists(ports):
                with open(ports, encoding="ascii") as file:
                    return int(re.search(r"TCP INET: (\d+)", file.read()).group(1))
            time.sleep(0.02)
        raise RuntimeError(f"{self.binary} opened no port in {READY_SECONDS_MAX} s")

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends this process, by its id, and waits for it."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def address(self):
        """HOST:PORT, as the client programs take it."""
        return f"127.0.0.1:{self.port}"

    def alive(self):
        """Whether the process still runs."""
        return self.process.poll() is None

    def death(self):
        """How the process ended and what it said last, for a report; empty while it runs."""
        if self.alive():
            return ""
        self.errors.seek(0)
        return f" (the server ended with {self.process.returncode}: {self.errors.read()[:500].decode(errors='replace')})"

    def connect(self, timeout=30):
        """A new connection that sends each piece at once."""
        link = socket.create_connection(("127.0.0.1", self.port), timeout)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return link

    def stats(self):
        """The reply to `stats` as a dictionary of texts."""
        with self.connect() as link:
            link.sendall(b"stats\r\n")
            reply = b""
            while not reply.endswith(b"END\r\n"):
                piece = link.recv(65536)
                if not piece:
                    raise RuntimeError("closed during stats")
                reply += piece
        lines = (line.split(" ", 2) for line in reply.decode().split("\r\n"))
        return {line[1]: line[2] for line in lines if line[0] == "STAT"}

    def version(self):
        """The text after VERSION."""
        return self.stats()["version"]

    def resident_bytes(self):
        """The process's resident memory now, from /proc; 0 when it has ended."""
        try:
            with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
                found = re.search(r"VmRSS:\s+(\d+) kB", file.read())
        except FileNotFoundError:
            return 0
        return int(found.group(1)) * 1024 if found else 0


def flagstone_binary():
    """The binary under test: $FLAGSTONE, else the release build."""
    here = os.path.dirname(os.path.abspath(__file__))
    build = os.path.join(here, "..", "..", "target", "release", "flagstone")
    return os.environ.get("FLAGSTONE") or os.path.normpath(build)
