"""TLS with the clients people use, and beside Debian's memcached: pymemcache with an ssl context, openssl s_client,
clients' certificates good, missing, foreign and expired, and certificates changed under load."""

import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

from pymemcache.client.base import Client, PooledClient

from servers import REFERENCE, Server, flagstone_binary

# Beside the folder that `servers` puts on the path.
from certificates import Authority, openssl, server_flags

EXPIRED = ("-not_before", "20200101000000Z", "-not_after", "20200102000000Z")
# What openssl 3.0 to 3.3 has instead: a certificate that ends when it begins.
EXPIRED_BEFORE = ("-days", "0")
LOAD_THREADS = 4
REFRESHES = 30

failed = 0


def check(name, is_good, said=""):
    global failed
    failed += not is_good
    print(f"ok {name}" if is_good else f"FAIL {name} {said}", flush=True)


def reply(server, context, request=b"mn\r\n"):
    """What the server answers, or why it does not."""
    try:
        with socket.create_connection(("127.0.0.1", server.port), 10) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as link:
                link.sendall(request)
                return link.recv(100)
    except OSError as error:
        return error


def expired(authority):
    """A pair whose time is over."""
    try:
        return authority.sign("expired", *EXPIRED)
    except RuntimeError:
        pair = authority.sign("expired", *EXPIRED_BEFORE)
        # It holds until the end of this second.
        time.sleep(2)
        return pair


def library(server, authority):
    context = authority.context()
    client = Client(("localhost", server.port), tls_context=context, timeout=10)
    for size in (0, 1, 100, 16_384, 100_000, 1_000_000):
        value = os.urandom(size)
        client.set("k", value, noreply=False)
        check(f"pymemcache: {size} bytes", client.get("k") == value)
    client.set_many({f"m{i}": "v" * i for i in range(200)}, noreply=False)
    check("pymemcache: many", len(client.get_many([f"m{i}" for i in range(250)])) == 200)
    client.close()
    pool = PooledClient(("localhost", server.port), tls_context=context, max_pool_size=4, timeout=10)
    check("pymemcache: a pool", pool.set("p", "1", noreply=False) and pool.get("p") == b"1")
    pool.close()


def command_line(server, authority):
    """openssl's own client, of each version; `-quiet` sends lines as they are."""
    for version in ("-tls1_2", "-tls1_3"):
        command = ["openssl", "s_client", "-connect", f"localhost:{server.port}", "-quiet", version, "-CAfile",
                   authority.crt, "-verify_return_error"]
        done = subprocess.run(command, input=b"set s 0 0 2\r\nhi\r\nget s\r\nquit\r\n", capture_output=True, timeout=30)
        check(f"openssl s_client {version}", done.stdout == b"STORED\r\nVALUE s 0 2\r\nhi\r\nEND\r\n", done.stdout)


def kinds_of_keys(binary, folder):
    """RSA in both its forms, EC in its own, Ed25519."""
    kinds = {"rsa": ["-newkey", "rsa:2048"], "ed25519": ["-newkey", "ed25519"],
             "p384": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"]}
    pairs = {}
    for name, kind in kinds.items():
        crt, key = (os.path.join(folder, name + end) for end in (".crt", ".key"))
        openssl("req", "-x509", *kind, "-nodes", "-keyout", key, "-out", crt, "-days", "30", "-subj", "/CN=localhost",
                "-addext", "subjectAltName=DNS:localhost")
        pairs[name] = (crt, key)
    for name, command in {"rsa": "rsa", "p384": "ec"}.items():
        crt, key = pairs[name]
        old = key + ".old"
        openssl(command, "-in", key, "-out", old, *(["-traditional"] if name == "rsa" else []))
        pairs[name + ", its own form"] = (crt, old)
    for name, pair in pairs.items():
        with Server(binary, *server_flags(pair)) as server:
            answer = reply(server, ssl.create_default_context(cafile=pair[0]))
            check(f"a key of {name}", answer == b"MN\r\n", answer)


def clients_certificates(binary, authority, pair):
    """Who is let in by each mode."""
    with tempfile.TemporaryDirectory() as folder:
        foreign = Authority(folder, "somebody-else").sign("foreign")
        shown = {"none": None, "good": authority.sign("good"), "foreign": foreign, "expired": expired(authority)}
        for mode, let_in in (("0", set(shown)), ("1", {"none", "good"}), ("2", {"good"}), ("3", {"good"})):
            flags = server_flags(pair, f"ssl_ca_cert={authority.crt}", f"ssl_verify_mode={mode}")
            with Server(binary, *flags) as server:
                found = {name for name, one in shown.items() if reply(server, authority.context(one)) == b"MN\r\n"}
                check(f"{os.path.basename(binary)}: mode {mode} lets in {sorted(let_in)}", found == let_in, found)


def changed_under_load(binary, folder):
    """Certificates that change while clients come, ask and leave: everybody is served, with an old one or a new one."""
    authority = Authority(folder, "changing")
    pairs = [authority.sign(f"server{number}") for number in range(2)]
    shown = tuple(os.path.join(folder, name) for name in ("shown.crt", "shown.key"))

    def put(number):
        for source, place in zip(pairs[number], shown):
            shutil.copy(source, place + ".new")
            os.replace(place + ".new", place)

    put(0)
    stop, served, wrong = threading.Event(), [0] * LOAD_THREADS, []
    with Server(binary, *server_flags(shown, "ssl_session_cache")) as server:
        def load(which):
            context = authority.context()
            while not stop.is_set():
                answer = reply(server, context)
                served[which] += 1
                if answer != b"MN\r\n":
                    wrong.append(answer)
        threads = [threading.Thread(target=load, args=(which,)) for which in range(LOAD_THREADS)]
        steady = Client(("localhost", server.port), tls_context=authority.context(), timeout=10)
        steady.set("k", "1", noreply=False)
        for thread in threads:
            thread.start()
        answers = set()
        for number in range(REFRESHES):
            put(number % 2)
            answers.add(reply(server, authority.context(), b"refresh_certs\r\n"))
            wrong += [] if steady.get("k") == b"1" else ["the old connection"]
        with open(shown[1], "w", encoding="ascii") as file:
            file.write("no key")
        refused = reply(server, authority.context(), b"refresh_certs\r\n")
        stop.set()
        for thread in threads:
            thread.join()
        check("certificates change under load", answers == {b"OK\r\n"} and not wrong and min(served) > 0,
              f"{answers} {wrong[:3]}")
        check("a broken key is told of, and the old one stays",
              bytes(refused).startswith(b"Error loading the key: ") and reply(server, authority.context()) == b"MN\r\n",
              refused)


def main():
    binary = flagstone_binary()
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(folder)
        pair = authority.sign("localhost")
        with Server(binary, *server_flags(pair)) as server:
            library(server, authority)
            command_line(server, authority)
        kinds_of_keys(binary, folder)
        for one in (binary, REFERENCE):
            clients_certificates(one, authority, pair)
        changed_under_load(binary, folder)
    sys.exit(1 if failed else 0)


main()
