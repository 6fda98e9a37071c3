"""One server's life: a process on 127.0.0.1 that serves from the start of a `with` block to its end.

Shared by the measurements here and by tests/interop: what either asks of a server beyond that stands in its own
`servers.py`. Without a port of its own a server gets one from the kernel: it is told `-p -1` and writes what it got to
the file named by MEMCACHED_PORT_FILENAME.
"""
import os
import re
import socket
import subprocess
import tempfile
import time

HOST = "127.0.0.1"
START_SECONDS_MAX = 20
STOP_SECONDS_MAX = 10
SAID_BYTES_MAX = 2000


class ServerError(RuntimeError):
    """A server did not start or ended by itself."""

    code = 1


class Process:
    """One server, ended by its own process id on every way out of its block."""

    # What runs in the child before its program begins.
    prepare = None
    # How its clients speak TLS, if they do.
    context = None

    def __init__(self, binary, *options, port=None):
        """`port`: None asks the kernel for one."""
        self.port = port
        self.command = [binary, "-l", HOST, "-p", str(port or -1), *map(str, options)]
        if os.geteuid() == 0:
            self.command += ["-u", "root"]
        self.process = None
        self.log = None

    def __enter__(self):
        self.log = tempfile.TemporaryFile()
        with tempfile.TemporaryDirectory() as folder:
            ports = os.path.join(folder, "ports")
            self.process = subprocess.Popen(self.command, env=dict(os.environ, MEMCACHED_PORT_FILENAME=ports),
                                            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                            preexec_fn=self.prepare)
            try:
                self.wait_until_it_serves(ports)
            except BaseException:
                self.stop()
                raise
        return self

    def __exit__(self, *_):
        self.stop()

    def wait_until_it_serves(self, ports):
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            self.check_alive()
            if self.serves(ports):
                return
            time.sleep(0.02)
        raise ServerError(f"no answer within {START_SECONDS_MAX} s: {' '.join(self.command)}")

    def serves(self, ports):
        """Whether it does. Nothing is asked of one that tells its port: its counters are still at 0 then."""
        if self.port:
            try:
                return bool(self.stats())
            except OSError:
                return False
        if os.path.exists(ports):
            with open(ports, encoding="ascii") as file:
                self.port = int(re.search(r"TCP INET: (\d+)", file.read()).group(1))
        return self.port is not None

    def alive(self):
        """Whether the process still runs."""
        return self.process.poll() is None

    def death(self):
        """How the process ended and what it said, for a report; empty while it runs."""
        if self.alive():
            return ""
        self.log.seek(0)
        said = self.log.read(SAID_BYTES_MAX).decode(errors="replace")
        return f" (the server ended with {self.process.returncode}: {said})"

    def check_alive(self):
        if not self.alive():
            raise ServerError(f"{' '.join(self.command)}{self.death()}")

    def stop(self):
        """Ends this process and waits for it."""
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def pid(self):
        return self.process.pid

    @property
    def address(self):
        """HOST:PORT, as the client programs take it."""
        return f"{HOST}:{self.port}"

    def connect(self, timeout=30):
        """A new connection that sends each piece at once."""
        link = socket.create_connection((HOST, self.port), timeout)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context.wrap_socket(link, server_hostname="localhost") if self.context else link

    def stats(self):
        """The general `stats`, as a dict of strings."""
        with self.connect() as link:
            link.sendall(b"stats\r\n")
            answer = b""
            while not answer.endswith(b"END\r\n"):
                piece = link.recv(65536)
                if not piece:
                    raise ConnectionError("closed while answering stats")
                answer += piece
        lines = (line.split(" ", 2) for line in answer.decode().splitlines())
        return {words[1]: words[2] for words in lines if words[0] == "STAT" and len(words) == 3}

    def resident_bytes(self):
        """Its resident memory now, from /proc; 0 when it has ended."""
        try:
            with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
                found = re.search(r"VmRSS:\s+(\d+) kB", file.read())
        except FileNotFoundError:
            return 0
        return int(found.group(1)) * 1024 if found else 0
