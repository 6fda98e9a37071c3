"""A small memcached client for the load tests: std only, one socket, exact replies."""

import socket


class Client:
    """One connection; every method sends one command and reads its whole reply."""

    def __init__(self, port):
        self.link = socket.create_connection(("127.0.0.1", port), 60)
        self.link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.lines = self.link.makefile("rb", 1 << 16)

    def close(self):
        self.lines.close()
        self.link.close()

    def line(self, command):
        self.link.sendall(command)
        return self.lines.readline()

    def store(self, verb, key, value, exptime=0, unique=b""):
        """The reply line to a storage command."""
        head = b"%s %s 0 %d %d%s\r\n" % (verb, key, exptime, len(value), b" " + unique if unique else b"")
        return self.line(head + value + b"\r\n")

    def set(self, key, value, exptime=0):
        return self.store(b"set", key, value, exptime)

    def add(self, key, value, exptime=0):
        return self.store(b"add", key, value, exptime)

    def get(self, *keys):
        """The values found, by key."""
        return {key: value for key, (value, _) in self._fetch(b"get ", keys).items()}

    def gets(self, key):
        """The value and its cas unique, or None."""
        return self._fetch(b"gets ", [key]).get(key)

    def _fetch(self, verb, keys):
        self.link.sendall(verb + b" ".join(keys) + b"\r\n")
        found = {}
        while (line := self.lines.readline()) != b"END\r\n":
            assert line.startswith(b"VALUE "), line[:100]
            _, key, _, size, *unique = line.split()
            value = self.lines.read(int(size) + 2)
            assert value.endswith(b"\r\n") and len(value) == int(size) + 2, "a value of another length"
            found[key] = (value[:-2], unique[0] if unique else None)
        return found

    def incr(self, key, delta=1):
        """The new number, or None for a missing key."""
        reply = self.line(b"incr %s %d\r\n" % (key, delta))
        return None if reply == b"NOT_FOUND\r\n" else int(reply)

    def delete(self, key):
        return self.line(b"delete %s\r\n" % key)

    def touch(self, key, exptime):
        return self.line(b"touch %s %d\r\n" % (key, exptime))
