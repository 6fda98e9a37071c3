"""Commands of which a part is filled in for each server when they are sent."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cas:
    """A command with a cas unique: the last one a server showed for the key, or one beside it."""

    head: bytes
    key: bytes
    tail: bytes
    which: str = "last"

    def bytes_for(self, uniques):
        last = int(uniques.last.get(self.key, b"1" * 19))
        # Numbers from the middle are the servers' own; those beside them are nobody's.
        number = {"last": last, "lower": max(last - 1, 1), "higher": 9_200_000_000_000_000_000}[self.which]
        return self.head + b"%d" % number + self.tail


def bytes_for(command, uniques):
    """What is sent to the server of these uniques."""
    return command.bytes_for(uniques) if isinstance(command, Cas) else command


def shown(command):
    """A command or a reply for people."""
    if isinstance(command, Cas):
        command = command.head + b"<%s unique>" % command.which.encode() + command.tail
    return repr(command if command is None or len(command) < 240 else command[:140] + b" ... " + command[-60:])


def words(command):
    """The words of a command's first line."""
    line = command.head + b" " + command.tail if isinstance(command, Cas) else command
    return set(line.split(b"\n", 1)[0][:2000].split())
