"""SASL (`-S`): Flagstone and memcached judge the same, and the clients that people use are let in by both ways.

Seeded random exchanges go to both servers over one database of Cyrus SASL, cut at random places into separate
sends. Answers are compared byte by byte, but for challenges, which are random. Left out is what is named in the
differences: whoever is in and shows a good password again stays in, responses have 16 KiB at most, and no byte is
waited for of what a header says that cannot be.

usage: sasl.py [--seed N] [--exchanges N] PYTHON

PYTHON has pylibmc and bmemcached, NODE_PATH memjs.
"""

import argparse
import contextlib
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

from packets import GET, NOOP, QUIT, SASL_AUTH, SASL_LIST, SASL_STEP, SET, STAT, VERSION, HEADER, Request, Versions
from servers import REFERENCE, Server, flagstone_binary

USER, PASSWORD = b"tester", b"s3cret word"
HERE = os.path.dirname(os.path.abspath(__file__))
CONTINUES = 0x21
ANSWER_SECONDS_MAX = 10
CUT_SECONDS = 0.0004
STUCK_CALLS = 50


def plain(user=USER, password=PASSWORD, authorized=b""):
    return authorized + b"\0" + user + b"\0" + password


class Exchange:
    """Random requests of one connection, the last of which both servers hang up on."""

    def __init__(self, random):
        self.random, self.requests, self.is_in, self.was_in = random, [], False, False

    def made(self):
        for _ in range(self.random.randrange(1, 8)):
            self.step()
        if not self.requests or self.requests[-1].opcode != QUIT:
            self.add(self.random.choice((self.refused, self.refused, self.lie))())
        return self.requests

    def add(self, request):
        self.requests.append(request)

    def step(self):
        choice = self.random.randrange(10)
        if self.is_in and choice < 6:
            self.add(self.random.choice((Request(SET, b"k", b"\0" * 8, b"v"), Request(GET, b"k"), Request(NOOP))))
        elif choice == 0:
            self.add(Request(VERSION))
        elif choice == 1:
            self.add(Request(SASL_LIST))
            self.is_in = False
        elif choice == 2:
            name = b"M" * self.random.choice((33, 250))
            self.add(Request(self.random.choice((SASL_AUTH, SASL_STEP)), name, value=b"x"))
        elif self.was_in:
            return
        elif choice < 6:
            self.add(Request(SASL_AUTH, self.random.choice((b"PLAIN", b"plain", b"PLAIN\0x")), value=plain()))
            self.is_in = self.was_in = True
        else:
            self.add(Request(self.random.choice((SASL_AUTH, SASL_STEP)), self.mechanism(), value=self.response()))
            # It may have been let in by a step.
            self.was_in = self.was_in or self.requests[-1].value == plain()
            self.is_in = False

    def mechanism(self):
        others = b"X", b"PLAIN ", b"CRAM-MD5", b"SCRAM-SHA-256", b"\0", b"M" * 32
        return self.random.choice((b"PLAIN", b"PLAIN", *others))

    def response(self):
        return self.random.choice((
            b"", b"", b"\0", b"\0\0", plain()[:-1], plain(b"nobody"), plain(password=b""), plain() + b"\0",
            plain(authorized=b"other"), plain(b"u" * 2000), b"n,,n=tester,r=nonce", bytes(self.random.randbytes(40)),
        ))  # fmt: skip

    def refused(self):
        """What both hang up on, in or out."""
        return self.random.choice((
            Request(SASL_AUTH, b"", value=plain()), Request(SASL_AUTH, b"PLAIN", b"extras", plain()),
            Request(SASL_LIST, b"key"), Request(VERSION, value=b"value"), Request(QUIT),
        ))  # fmt: skip

    def lie(self):
        key = self.random.choice((b"PLAIN", b"key"))
        less = len(key) - 1
        lies = self.random.choice((dict(bodylen=less), dict(bodylen=0), dict(keylen=less, extlen=1, bodylen=less)))
        opcode = self.random.choice((SASL_AUTH, SASL_STEP, SASL_LIST, VERSION, GET, SET, STAT))
        return Request(opcode, key, lies=tuple(lies.items()))


def said(server, requests, cuts):
    """All that a server answers until it closes; what is its own is taken out."""
    data = b"".join(request.bytes_for(Versions()) for request in requests)
    answer = b""
    with server.connect(ANSWER_SECONDS_MAX) as link:
        # Who is hung up on may still be sending.
        with contextlib.suppress(ConnectionError):
            for start, end in zip([0, *cuts], [*cuts, len(data)]):
                link.sendall(data[start:end])
                time.sleep(CUT_SECONDS)
        with contextlib.suppress(ConnectionError):
            try:
                while piece := link.recv(65536):
                    answer += piece
            except TimeoutError:
                answer += b"not closed"
    return compared(answer)


def compared(answer):
    kept, at = [], 0
    while len(answer) - at >= HEADER.size:
        _, opcode, _, _, _, status, body, _, cas = HEADER.unpack_from(answer, at)
        text = answer[at + HEADER.size : at + HEADER.size + body]
        if body and (status == CONTINUES or (opcode, status) == (VERSION, 0)):
            text = b"each server's own"
        # A set's version is each server's own.
        kept.append((opcode, status, text, cas > 0))
        at += HEADER.size + body
    return kept, answer[at:]


def compare(mine, theirs, seed, exchanges):
    for number in range(exchanges):
        numbers = random.Random(f"{seed}/{number}")
        requests = Exchange(numbers).made()
        length = sum(len(request.bytes_for(Versions())) for request in requests)
        cuts = sorted(numbers.randrange(length) for _ in range(numbers.randrange(3)))
        answers = [said(server, requests, cuts) for server in (mine, theirs)]
        if answers[0] != answers[1]:
            print(f"FAIL exchanges: number {number} of seed {seed}, cut at {cuts}:")
            print("\n".join(f"  {request}" for request in requests))
            print("\n".join(f"  {name}: {answer}" for name, answer in zip(("flagstone", "memcached"), answers)))
            return
    print(f"ok exchanges: {exchanges} answered as by memcached (seed {seed})")


def call(link, request):
    """A request's status."""
    link.sendall(request.bytes_for(Versions()))
    head = b""
    while len(head) < HEADER.size:
        head += link.recv(HEADER.size - len(head)) or sys.exit("closed")
    body = HEADER.unpack(head)[6]
    while body:
        body -= len(link.recv(body))
    return HEADER.unpack(head)[5]


def stuck(server, folder):
    """saslauthd does not answer: who is judged waits, who is in is served, and so is who asks for something else."""
    path = os.path.join(folder, "mux")
    with socket.socket(socket.AF_UNIX) as mute, server.connect() as judged, server.connect() as other:
        mute.bind(path)
        mute.listen(8)
        judged.sendall(Request(SASL_AUTH, b"PLAIN", value=plain()).bytes_for(Versions()))
        asked, _ = mute.accept()
        took = []
        for _ in range(STUCK_CALLS):
            began = time.perf_counter()
            assert call(other, Request(VERSION)) == 0
            took.append(time.perf_counter() - began)
        judged.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            sys.exit(f"judged by nobody: {judged.recv(100)!r}")
        # It says yes, in a string with its length before it.
        answer = b"OK"
        asked.recv(4096)
        asked.sendall(struct.pack(">H", len(answer)) + answer)
        judged.settimeout(ANSWER_SECONDS_MAX)
        assert judged.recv(100).endswith(b"Authenticated")
        asked.close()
        assert max(took) < 1, took
        assert call(judged, Request(NOOP)) == 0


def unconfigured(flagstone):
    """Neither starts with a library that finds no configuration."""
    for binary in (flagstone, REFERENCE):
        command = [binary, "-S", "-l", "127.0.0.1", "-p", "0", "-u", "root"]
        done = subprocess.run(command, capture_output=True, timeout=20)
        assert done.returncode == 1 and b"Error initializing sasl" in done.stderr, (binary, done)


def attempt(name, test, *arguments):
    try:
        test(*arguments)
        print(f"ok {name}")
    except (AssertionError, OSError, SystemExit, subprocess.SubprocessError) as reason:
        print(f"FAIL {name}: {reason!r}")


def run(command, succeeds=True):
    done = subprocess.run(command, capture_output=True, timeout=60, text=True)
    assert (done.returncode == 0) == succeeds, (command, done.returncode, done.stdout[-300:], done.stderr[-300:])
    return done.stdout


def clients(way, server, python, folder):
    """The clients that people use, with a password that is right, and one that is wrong."""
    script = os.path.join(HERE, "clients", "with_sasl")
    programs = {
        "pylibmc": [python, f"{script}.py", "pylibmc"],
        "bmemcached": [python, f"{script}.py", "bmemcached"],
        "memjs": ["node", f"{script}.js"],
        "dalli": ["ruby", f"{script}.rb"],
        "php-memcached": ["php", f"{script}.php"],
    }
    for client, program in programs.items():
        for password, succeeds in ((PASSWORD.decode(), True), ("wrong", False)):
            name = f"{way}: {client} {'is let in' if succeeds else 'is not let in by a wrong password'}"
            attempt(name, run, [*program, server.address, USER.decode(), password], succeeds)
    tools(way, server, folder)


def tools(way, server, folder):
    value = os.path.join(folder, f"value-{server.port}")
    with open(value, "w", encoding="ascii") as file:
        file.write("of a tool")
    where = [f"--servers={server.address}", "--binary", f"--username={USER.decode()}"]
    good, wrong = [*where, f"--password={PASSWORD.decode()}"], [*where, "--password=wrong"]
    name = os.path.basename(value)

    def copies():
        run(["memccp", *good, value])
        assert run(["memccat", *good, name]).startswith("of a tool")
        run(["memcrm", *good, name])

    attempt(f"{way}: libmemcached's tools are let in", copies)
    attempt(f"{way}: libmemcached's tools are not let in by a wrong password", run, ["memccp", *wrong, value], False)


@contextlib.contextmanager
def environment(**variables):
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def configuration(folder, name, *lines):
    """A folder with a memcached.conf."""
    path = os.path.join(folder, name)
    os.mkdir(path)
    with open(os.path.join(path, "memcached.conf"), "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
    return path


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--exchanges", type=int, default=3000)
    parser.add_argument("python")
    options = parser.parse_args()
    flagstone = flagstone_binary()
    if not any(os.path.exists(f"/etc/{folder}/memcached.conf") for folder in ("sasl", "sasl2")):
        attempt("without a memcached.conf Cyrus SASL does not begin", unconfigured, flagstone)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:

        def started(binary, *flags, **variables):
            with environment(**variables):
                return stack.enter_context(Server(binary, "-S", *flags))

        database, passwords = os.path.join(folder, "sasldb"), os.path.join(folder, "passwords")
        program = shutil.which("saslpasswd2", path=os.environ["PATH"] + ":/usr/sbin")
        where = ["-f", database, "-a", "memcached", "-u", socket.gethostname()]
        subprocess.run([program, *where, "-c", "-p", USER.decode()], input=PASSWORD, check=True)
        with open(passwords, "wb") as file:
            file.write(b"other:word\n%b:%b\n" % (USER, PASSWORD))
        sasldb = f"sasldb_path: {database}"
        several = configuration(folder, "several", "mech_list: plain cram-md5 scram-sha-256", sasldb)
        scram = configuration(folder, "scram", "mech_list: scram-sha-256", sasldb)
        mute = configuration(folder, "mute", "mech_list: plain", "pwcheck_method: saslauthd",
                             f"saslauthd_path: {folder}/mux")  # fmt: skip
        file = started(flagstone, MEMCACHED_SASL_PWDB=passwords)
        cyrus = started(flagstone, SASL_CONF_PATH=several)
        compare(cyrus, started(REFERENCE, SASL_CONF_PATH=several), options.seed, options.exchanges)
        clients("file of passwords", file, options.python, folder)
        clients("Cyrus", cyrus, options.python, folder)
        tools("Cyrus, SCRAM alone", started(flagstone, SASL_CONF_PATH=scram), folder)
        waiting = started(flagstone, "-t", 1, SASL_CONF_PATH=mute)
        attempt("a saslauthd that does not answer stops nobody", stuck, waiting, folder)


if __name__ == "__main__":
    main()
