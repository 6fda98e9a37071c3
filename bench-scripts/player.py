"""Running the trace player named by $FLAGSTONE_REPLAY.

The player is a program of its own, not part of this project. It knows a server by its socket alone (and by
its pid, to read its RSS) and prints one line of JSON. Two of its commands are used:

  play TRACE --server HOST:PORT --pid PID     plays a trace look-aside (get; on a miss, set) and checks
                                              each hit's bytes, length and flags against what it stored;
                                              with --rate N at most N requests a second, with --pace 1 at
                                              the trace's own times
  fill --server HOST:PORT --pid PID --klen N --dist fix:N|etc|ln:MEAN:SIGMA:MAX
                                              stores new keys past the first eviction, then gets them all
"""
import json

from servers import MeasurementError, executable, run_load

ADVICE = "set it to the trace player's program"


def player_binary():
    return executable("FLAGSTONE_REPLAY", "replay", ADVICE)


def run_player(player, arguments, options, seconds_max):
    """The player's answer as a dict. Its exit status 1 says wrong hits, which the answer counts, too."""
    run = run_load([player, *arguments], options, seconds_max)
    try:
        return json.loads(run.stdout)
    except ValueError:
        raise MeasurementError(f"the player ended with {run.returncode} ({' '.join(arguments)}): "
                               f"{run.stderr[-500:]}") from None
