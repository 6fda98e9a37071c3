"""One client with a user and a password: argv is its name, HOST:PORT, the user and the password."""

import sys

client, address, user, password = sys.argv[1:]
if client == "pylibmc":
    import pylibmc

    cache = pylibmc.Client([address], binary=True, username=user, password=password)
else:
    import bmemcached

    cache = bmemcached.Client((address,), user, password)
for number in range(100):
    assert cache.set(f"sasl{number}", f"value {number}"), "not stored"
assert [cache.get(f"sasl{number}") for number in range(100)] == [f"value {number}" for number in range(100)]
assert cache.get("missing") is None
assert cache.delete("sasl0") and cache.get("sasl0") is None
