"""Shrinks a stream that two servers answer differently to the few commands it takes.

Delta debugging over commands: each try is a pair of new servers, to which the
commands go one by one. What differs only under a deep pipeline does not come
back that way, and is then reported as it came.
"""

import time

from commands import Frame
from templates import words

SECONDS_MAX = 40


def shrunk(frames, differs):
    """The fewest frames found that still differ, the last of them the one that did; `differs(frames)` tries some.

    None when even all of them, one by one, are answered alike.
    """
    deadline = time.monotonic() + SECONDS_MAX
    pieces = [piece for frame in frames for piece in singles(frame)]
    kept = shortest_end(pieces, differs)
    if kept is None:
        return None
    named = of_its_keys(kept)
    if differs(named):
        kept = named
    parts = 2
    while len(kept) > 1 and time.monotonic() < deadline:
        size = max(len(kept) // parts, 1)
        for start in range(0, len(kept), size):
            without = kept[:start] + kept[start + size :]
            if without and differs(without):
                kept, parts = without, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(kept))
    return kept


def singles(frame):
    """A frame's commands, each its own; one with a rule stays whole."""
    return [frame] if frame.rule else [Frame([command]) for command in frame.commands]


def of_its_keys(pieces):
    """The pieces that have a word in common with the last one, or flush."""
    names = {word for command in pieces[-1].commands for word in words(command)} | {b"flush_all"}
    return [piece for piece in pieces if any(names & words(command) for command in piece.commands)]


def shortest_end(pieces, differs):
    count = 16
    while True:
        if differs(pieces[-count:]):
            return pieces[-count:]
        if count >= len(pieces):
            return None
        count *= 4
