"""meta-memcache: its high-level and its raw meta commands, stampede protection included, against the server at argv[1]."""

from meta_memcache import (
    CacheClient, Conflict, Key, LeasePolicy, Miss, NotStored, RecachePolicy, RequestFlags, ServerAddress, SetMode, StalePolicy, Success,
    Value, connection_pool_factory_builder,
)

from surface import run, until


class Gone(Exception):
    """Raised in place of a wait for the winner: a test does not wait."""


def give_up(_seconds):
    raise Gone


def storing(c):
    assert c.set("a", "1", ttl=100) and c.get("a") == "1"
    assert c.set("a", "2", ttl=100, set_mode=SetMode.ADD) is False and c.set("b", "2", ttl=100, set_mode=SetMode.ADD)
    assert c.set("b", b"3", ttl=100, set_mode=SetMode.REPLACE)
    assert c.set("missing", "x", ttl=100, set_mode=SetMode.REPLACE) is False
    assert c.set("b", b"4", ttl=100, set_mode=SetMode.APPEND) and c.set("b", b"2", ttl=100, set_mode=SetMode.PREPEND)
    assert c.get("b") == b"234" and c.get("missing") is None
    assert c.set("o", {"a": [1, (2, None)]}, ttl=100) and c.get("o") == {"a": [1, (2, None)]}


def compare_and_swap(c):
    assert c.set("a", "1", ttl=100)
    value, token = c.get_cas("a")
    assert value == "1" and token > 0
    assert c.set("a", "2", ttl=100, cas_token=token) and not c.set("a", "3", ttl=100, cas_token=token)
    new = c.set_cas("a", "4", ttl=100)
    assert new and c.get_cas("a") == ("4", new)
    assert not c.delete("a", cas_token=token) and c.delete("a", cas_token=new)
    assert c.get_cas("a") == (None, None)


def many(c):
    for i in range(1, 300):
        c.set(f"m{i}", "v" * i, ttl=100, no_reply=True)
    found = c.multi_get([f"m{i}" for i in range(1, 400)])
    assert {key.key: value for key, value in found.items()} == {f"m{i}": "v" * i if i < 300 else None for i in range(1, 400)}


def deleting(c):
    c.set("a", "1", ttl=100)
    assert c.delete("a") and not c.delete("a") and c.invalidate("a")
    c.set("a", "1", ttl=100)
    c.delete("a", no_reply=True)
    assert c.get("a") is None


def counting(c):
    assert c.delete("n") in (True, False) and c.delta_and_get("n", 1) is None and not c.delta("n", 1)
    assert c.delta_initialize_and_get("n", 5, initial_value=10, initial_ttl=100) == 10
    assert c.delta_initialize_and_get("n", 5, initial_value=10, initial_ttl=100) == 15
    assert c.get("n") == "15" and c.delta_and_get("n", -20) == 0 and c.delta("n", 7, refresh_ttl=1000)
    c.delta("n", 1, no_reply=True)
    assert c.delta_and_get("n", 0) == 8


def expiring(c):
    c.set("t", "1", ttl=1)
    c.set("u", "1", ttl=1)
    assert c.touch("u", ttl=1000) and not c.touch("missing", ttl=10)
    until(lambda: c.get("t") is None)
    assert c.get("u") == "1" and c.get("u", touch_ttl=2000) == "1"
    ttl = c.meta_get(Key("u"), RequestFlags(return_ttl=True)).flags.ttl
    assert 1900 < ttl <= 2000, ttl


def one_lease_on_a_miss(c):
    """The first to miss is to fill; the others wait for it, and get its value."""
    c.delete("lease")
    policy = LeasePolicy(ttl=30, miss_retries=3)
    assert c.get_or_lease("lease", policy) is None, "the first wins"
    for _ in range(3):
        try:
            c.get_or_lease("lease", policy, lease_wait_fn=give_up)
            raise AssertionError("a second one won")
        except Gone:
            pass
    assert c.set("lease", "filled", ttl=100) and c.get_or_lease("lease", policy) == "filled"


def one_recache_before_the_end(c):
    c.set("r", "old", ttl=20)
    policy = RecachePolicy(ttl=30)
    assert c.get("r", recache_policy=policy) is None, "the first is told to recache"
    assert [c.get("r", recache_policy=policy) for _ in range(3)] == ["old"] * 3
    c.set("r", "new", ttl=100)
    assert c.get("r", recache_policy=policy) == "new"


def stale_after_a_delete(c):
    policy = StalePolicy(mark_stale_on_deletion_ttl=30, mark_stale_on_cas_mismatch=True)
    c.set("s", "old", ttl=100)
    _, token = c.get_cas("s")
    assert c.delete("s", stale_policy=policy)
    assert [c.get("s") for _ in range(3)] == [None, "old", "old"], "one wins, the others have the stale value"
    assert c.set("s", "late", ttl=100, cas_token=token, stale_policy=policy), "older, and so stored as stale"
    assert [c.get("s") for _ in range(2)] == ["late"] * 2, "who won before is still at work"
    assert c.set("s", "new", ttl=100) and c.get("s") == "new"


def raw_flags(c):
    key = Key("raw")
    c.meta_delete(key)
    assert isinstance(c.meta_get(key, RequestFlags(return_value=True)), Miss)
    stored = c.meta_set(key, b"value", RequestFlags(cache_ttl=500, client_flag=0, return_cas_token=True))
    assert isinstance(stored, Success) and stored.flags.cas_token > 0
    flags = RequestFlags(return_value=True, return_ttl=True, return_cas_token=True, return_size=True, return_fetched=True,
                         return_last_access=True, return_client_flag=True, return_key=True, opaque=b"42")
    found = c.meta_get(key, flags)
    assert isinstance(found, Value) and found.flags.fetched is False and found.flags.opaque == b"42"
    assert found.flags.cas_token == stored.flags.cas_token and 490 < found.flags.ttl <= 500
    assert c.meta_get(key, flags).flags.fetched is True
    header = c.meta_get(key, RequestFlags(return_size=True, no_update_lru=True))
    assert isinstance(header, Success) and header.flags.size == 5
    assert isinstance(c.meta_set(key, b"x", RequestFlags(mode=SetMode.ADD.value)), NotStored)
    assert isinstance(c.meta_set(key, b"x", RequestFlags(cas_token=1)), Conflict)
    assert isinstance(c.meta_arithmetic(Key("rawn"), RequestFlags(vivify_on_miss_ttl=100, ma_initial_value=3, return_value=True)), Value)


def keys_of_all_kinds(c):
    for key in ("cl\u00e9", "with space", "k" * 250, "k" * 600):
        assert c.set(key, "1", ttl=100) and c.get(key) == "1" and c.delete(key), key


def values(c):
    for size in (0, 1, 16_384, 100_000, 1_000_000):
        data = bytes(i * 7 % 256 for i in range(size % 5000)) + b"\r\n\0" * (size // 3)
        assert c.set("big", data, ttl=100) and c.get("big") == data, size


def start(host, port):
    pools = connection_pool_factory_builder(connection_timeout=10, recv_timeout=10)
    return CacheClient.cache_client_from_servers([ServerAddress(host, port)], pools)


if __name__ == "__main__":
    tests = [storing, compare_and_swap, many, deleting, counting, expiring, one_lease_on_a_miss, one_recache_before_the_end,
             stale_after_a_delete, raw_flags, keys_of_all_kinds, values]
    run("meta-memcache", tests, start)
