"""The two servers the interop tests talk to: how their processes are started and ended is shared with bench-scripts."""

import os
import re
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
# Behind our own folder: modules of the same name stay ours.
sys.path.append(os.path.join(ROOT, "bench-scripts"))

from process import Process  # noqa: E402

REFERENCE = os.environ.get("REFERENCE", "/usr/bin/memcached")


# A test that is told to stop leaves its `with` blocks, and so ends its servers.
signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))


class Server(Process):
    """One running server; use it in a `with` block."""

    def __init__(self, binary, *options):
        super().__init__(binary, *options)
        self.binary = binary
        self.options = options

    def again(self):
        """Another server of the same kind, not started yet."""
        other = type(self)(self.binary, *self.options)
        other.context = self.context
        return other

    def version(self):
        """The text after VERSION."""
        return self.stats()["version"]


class DatagramServer(Server):
    """One that also takes UDP."""

    datagram_port = None

    def __init__(self, binary, *options):
        super().__init__(binary, *options)
        self.command += ["-U", "-1"]

    def serves(self, ports):
        if not super().serves(ports):
            return False
        with open(ports, encoding="ascii") as file:
            self.datagram_port = int(re.search(r"UDP INET: (\d+)", file.read()).group(1))
        return True


def flagstone_binary():
    """The binary under test: $FLAGSTONE, else the release build."""
    return os.environ.get("FLAGSTONE") or os.path.normpath(os.path.join(ROOT, "target", "release", "flagstone"))
