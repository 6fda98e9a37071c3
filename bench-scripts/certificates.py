"""Certificates for servers and clients that speak TLS, made by the openssl command; they end with their folder.

Shared by the measurements here and by tests/interop.
"""
import os
import ssl
import subprocess

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
EXTENSIONS = "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n"


class Authority:
    """Who signs: a key and a certificate of its own, in a folder."""

    def __init__(self, folder, name="ca"):
        self.folder = folder
        self.crt, self.key = self.path(name + ".crt"), self.path(name + ".key")
        openssl("req", "-x509", *CURVE, "-keyout", self.key, "-out", self.crt, "-days", "30", "-subj", f"/CN={name}")

    def path(self, name):
        return os.path.join(self.folder, name)

    def sign(self, name, *when):
        """A certificate and its key for `name`: their paths. `when`: other days than the next thirty."""
        crt, key, request, extensions = (self.path(name + end) for end in (".crt", ".key", ".csr", ".ext"))
        with open(extensions, "w", encoding="ascii") as file:
            file.write(EXTENSIONS)
        openssl("req", *CURVE, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", request, "-CA", self.crt, "-CAkey", self.key, "-CAcreateserial", "-out", crt,
                "-extfile", extensions, *(when or ("-days", "30")))
        return crt, key

    def context(self, pair=None):
        """What a client needs that trusts this authority and shows `pair`, if any."""
        context = ssl.create_default_context(cafile=self.crt)
        if pair:
            context.load_cert_chain(*pair)
        return context


def server_flags(pair, *options):
    """The flags of a server that shows `pair`."""
    chain, key = pair
    return ["-Z", "-o", ",".join([f"ssl_chain_cert={chain}", f"ssl_key={key}", *options])]


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(arguments)}: {done.stderr[-500:]}")
