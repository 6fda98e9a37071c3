"""One server's half of a comparison, by TCP or by UDP.

By UDP each datagram holds whole frames of commands, which may be several, and is
sent when all before it are answered. Between them come datagrams that nobody may
answer. What comes back is checked for its headers and joined to a stream.
"""

import socket
import ssl
import struct
import time

from replies import Uniques
from servers import flagstone_binary
from templates import bytes_for, words

MARK = b"VERSION "
GONE = (BrokenPipeError, ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError)
NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
HEADER = struct.Struct(">HHHH")
REQUEST_BYTES_MAX = 60_000
DATAGRAM_BYTES_MAX = 1400
FRAMES_A_DATAGRAM_MAX = 5
# What a key of a frame's lines may bring back, and what the kernel counts for each of its bytes.
VALUE_BYTES_MAX = 17_000
KERNEL_BYTES_A_BYTE = 2
ROOM_WANTED_BYTES = 64 << 20
# Less than the kernel keeps for a server's socket where nobody has asked for more, and what a datagram takes of it.
UNREAD_BYTES_MAX = 190_000
UNREAD_SECONDS_MAX = 30
# Beyond what the system allows everybody: Python has no name for it.
SO_RCVBUFFORCE = 33
UNANSWERED = [b"", b"x", b"get k1\r\n", b"\0\1\0\0\0\1\0\0", b"\0\1\0\0\0\2\0\0get k1\r\n", b"\0\1\0\1\0\2\0\0get k1\r\n",
              b"\0\1\0\0\0\0\0\0get k1\r\n", b"\0\1\0\0\1\1\0\0get k1\r\n", b"\0\1\0\0\0\1\0\0get k1",
              b"\0\1\0\0\0\1\0\0delete k1", b"\0\1\0\0\0\1\0\0gets k1 k2"]


class Side:
    """One server's half of the comparison: its connections, its uniques, what it answered."""

    # Whether a connection's bytes may be cut anywhere, and what it says may end it.
    is_stream = True

    def __init__(self, server):
        self.server = server
        self.uniques = Uniques()
        self.links = {}
        self.link = None

    def open(self, number):
        """From now on this connection is used."""
        if number not in self.links:
            self.links[number] = self.connect()
            self.links[number].setblocking(False)
        self.link = self.links[number]

    def connect(self):
        return self.server.connect()

    def close(self):
        for link in self.links.values():
            link.close()
        self.links.clear()
        self.link = None

    def encode(self, command):
        """The bytes of a command for this server, with its own cas unique."""
        return bytes_for(command, self.uniques)

    def takes(self, frame):
        """Whether a frame can be sent at all."""
        return True

    def start(self, parts, cuts):
        """Sets out to send the bytes of frames, cut in pieces, and forgets earlier replies."""
        self.pieces, self.marks = self.cut(parts, cuts), 0
        self.reply, self.closed = bytearray(), False

    def cut(self, parts, cuts):
        return pieces_of(b"".join(parts), cuts)

    def has_more_to_send(self):
        return bool(self.pieces)

    def step(self, readable, writable):
        if writable and self.has_more_to_send():
            self._send()
        if readable:
            self._receive()

    def _send(self):
        try:
            count = self.link.send(self.pieces[-1])
            rest = self.pieces[-1][count:]
            self.pieces[-1:] = [rest] if rest else []
        except NOT_YET:
            pass
        except GONE:
            self.pieces.clear()

    def _receive(self):
        try:
            data = self.link.recv(1 << 20)
            # What TLS has decrypted already is no news of the socket's.
            while isinstance(self.link, ssl.SSLSocket) and self.link.pending():
                data += self.link.recv(1 << 20)
        except NOT_YET:
            return
        except GONE:
            data = b""
        self.closed = not data
        self.take(data)

    def take(self, data):
        self.marks += (bytes(self.reply[-len(MARK) + 1 :]) + data).count(MARK)
        self.reply += data

    def done(self, marks):
        return self.closed or (self.marks >= marks and self.reply.endswith(b"\r\n"))


class DatagramSide(Side):
    """The same by UDP."""

    is_stream = False

    def __init__(self, server):
        super().__init__(server)
        self.id, self.unread = 0, 0
        # memcached sends a datagram for each key of a line, and one without a byte for a key that is not there.
        self.may_be_empty = server.binary != flagstone_binary()

    def connect(self):
        link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        link.connect(("127.0.0.1", self.server.datagram_port))
        try:
            link.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM_WANTED_BYTES)
        except PermissionError:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM_WANTED_BYTES)
        self.room = link.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2 // KERNEL_BYTES_A_BYTE
        return link

    def takes(self, frame):
        if self.link is None:
            self.open(0)
        keys = sum(1 for command in frame.commands for word in words(command) if not word.startswith(b"miss"))
        size = sum(len(self.encode(command)) for command in frame.commands)
        return self.takes_bytes(size) and keys * VALUE_BYTES_MAX <= self.room

    def takes_bytes(self, size):
        return size + 100 <= REQUEST_BYTES_MAX

    def cut(self, parts, cuts):
        """Datagrams, last first: how many version replies are there before each, and its bytes."""
        datagrams = []
        for sent, request in self.datagrams(parts, cuts):
            if cuts.random() < 0.1:
                datagrams.append((sent, cuts.choice(UNANSWERED)))
            self.id = (self.id + 1) % (1 << 16)
            datagrams.append((sent, HEADER.pack(self.id, 0, 1, 0) + request))
        self.expected, self.total, self.asked = 0, 0, []
        return datagrams[::-1]

    def datagrams(self, parts, cuts):
        """The frames of each datagram, and how many come before."""
        at = 0
        while at < len(parts):
            count = 1
            while (count < FRAMES_A_DATAGRAM_MAX and at + count < len(parts) and cuts.random() < 0.3
                   and sum(map(len, parts[at : at + count + 1])) <= REQUEST_BYTES_MAX):
                count += 1
            yield at, b"".join(parts[at : at + count])
            at += count

    def has_more_to_send(self):
        return bool(self.pieces) and self.marks >= self.pieces[-1][0] and self.expected == 0

    def _send(self):
        _, datagram = self.pieces.pop()
        if HEADER.size < len(datagram) and datagram not in UNANSWERED:
            self.asked.append(HEADER.unpack_from(datagram)[0])
        self._wait_for_room(len(datagram) * 5 // 4 + 1000)
        self.link.send(datagram)

    def _wait_for_room(self, wanted):
        """What the server's socket has no room for is lost: waits until the server has read what was sent."""
        deadline = time.monotonic() + UNREAD_SECONDS_MAX
        while self.unread and self.unread + wanted > UNREAD_BYTES_MAX and time.monotonic() < deadline:
            self.unread = unread_bytes(self.server.datagram_port)
            time.sleep(0.001 if self.unread else 0)
        self.unread += wanted

    def _receive(self):
        try:
            data = self.link.recv(1 << 16)
        except BlockingIOError:
            return
        except ConnectionRefusedError:
            self.closed = True
            return
        number, sequence, total, zero = HEADER.unpack_from(data)
        # What is answered is answered in order; some requests are not.
        while self.asked and self.asked[0] != number:
            self.asked.pop(0)
        if self.may_be_empty and (sequence, total, zero, len(data)) == (0, 0, 0, HEADER.size):
            return
        fits = self.asked and sequence == self.expected and zero == 0 and sequence < total
        fits = fits and (sequence == 0 or total == self.total)
        is_last = sequence + 1 == total
        if not fits or not (is_last or len(data) == DATAGRAM_BYTES_MAX) or len(data) > DATAGRAM_BYTES_MAX:
            self.take(b"\r\nBAD DATAGRAM %d of %d to %d, %d bytes\r\n" % (sequence, total, number, len(data)))
        self.expected, self.total = 0 if is_last else sequence + 1, total
        self.take(data[HEADER.size :])

    def done(self, marks):
        return self.closed or (super().done(marks) and self.expected == 0)


def unread_bytes(port):
    """What waits in the kernel for a server's sockets of this port."""
    with open("/proc/net/udp", encoding="ascii") as table:
        rows = [row.split() for row in table][1:]
    return sum(int(row[4].split(":")[1], 16) for row in rows if int(row[1].split(":")[1], 16) == port)


def pieces_of(data, cuts):
    """`data` cut at random places, last piece first, as memoryviews."""
    style = cuts.random()
    if style < 0.3:
        places = []
    elif style < 0.9:
        places = sorted(cuts.sample(range(len(data)), min(len(data), cuts.randint(1, 40))))
    else:
        places = range(1, min(len(data), 2000), cuts.randint(1, 7))
    view, edges = memoryview(data), [0, *places, len(data)]
    return [view[a:b] for a, b in zip(edges, edges[1:]) if a < b][::-1]
