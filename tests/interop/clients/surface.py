"""Runs a client's tests and prints `ok` or `FAIL` for each; shared by the Python clients."""

import sys
import traceback


def run(client, tests, start):
    """Calls every test with a new client from `start(host, port)`; exits 1 when one failed."""
    host, port = sys.argv[1].rsplit(":", 1)
    failed = 0
    for test in tests:
        name = f"{client}: {test.__name__}"
        try:
            test(start(host, int(port)))
            print(f"ok {name}")
        except Exception as reason:  # every failure is a line, whatever the library raises
            failed += 1
            traceback.print_exc()
            print(f"FAIL {name}: {reason!r}")
    sys.exit(1 if failed else 0)


def until(wanted, seconds=5):
    """Waits for `wanted()` to become true: an expiry of one second may take two."""
    import time

    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, "did not come in time"
        time.sleep(0.05)
