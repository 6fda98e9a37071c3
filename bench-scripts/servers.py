"""Starting, watching and stopping the two servers under measurement.

Owns: where the binaries are found, what /proc says of a server (CPU, context switches), and the options every script
here shares. A server's life is process.py's. It sends no load and computes no figures; the scripts beside it do.
"""
import functools
import glob
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from certificates import Authority, server_flags
from process import HOST, Process, ServerError

SETTLE_SECONDS_MAX = 20
# Idle enough: at most 1 % of a core over a quarter of a second (timers that tick each second go on).
SETTLE_WINDOW_SECONDS = 0.25
SETTLE_BUSY_MAX = 0.01
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class MeasurementError(ServerError):
    """A figure would be wrong or cannot be had: the script prints this and exits with `code`."""

    def __init__(self, message, code=1):
        super().__init__(message)
        self.code = code


def run_script(main):
    """Runs `main`, so that servers are stopped on every way out: signals unwind, too."""
    # Set by name: a shell's background job begins with SIGINT ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _frame: sys.exit(128 + n))
    try:
        sys.exit(main())
    except ServerError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.code)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)


# ---------------------------------------------------------------- options and binaries


def add_shared_options(parser):
    """Options of every script here."""
    parser.add_argument("--port", type=int, default=0, help="TCP port of the servers (default: a free one)")
    parser.add_argument("--threads", type=int, default=1, help="worker threads of a server (default 1)")
    parser.add_argument("--server-core", type=int, default=0, help="core of the server (default 0; -1: any)")
    parser.add_argument("--load-core", type=int, default=1, help="core of the load (default 1; -1: any)")
    parser.add_argument("--nice", type=int, default=0,
                        help="priority of server and load; below 0 (root only) other programs disturb less")
    parser.add_argument("--tls", action="store_true", help="server and load speak TLS")
    parser.add_argument("--large-pages", action="store_true", help="start the servers with -L")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def server_binaries(with_memcached=True):
    """{"flagstone": path, "memcached": path}, from $FLAGSTONE and $MEMCACHED or their usual places."""
    built = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "target", "release", "flagstone")
    advice = "run `cargo build --release` or set it"
    binaries = {"flagstone": executable("FLAGSTONE", os.path.normpath(built), advice)}
    if with_memcached:
        binaries["memcached"] = executable("MEMCACHED", "memcached", "install memcached or set it")
    return binaries


def null_binary():
    """The responder that keeps nothing, from $FLAGSTONE_NULL or its usual place."""
    built = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "target", "release", "examples", "null")
    return executable("FLAGSTONE_NULL", os.path.normpath(built), "run `cargo build --release --example null` or set it")


def executable(variable, usual, advice):
    """The program named by an environment variable, else at its usual place; exit status 2 without one."""
    wanted = os.environ.get(variable) or usual
    found = shutil.which(wanted)
    if not found:
        raise MeasurementError(f"no program at {wanted} (${variable}): {advice}", code=2)
    return found


def place(core, nice):
    """In a child, before its program begins: one core (-1: any) and a priority for this process."""
    if core >= 0 and core in os.sched_getaffinity(0):
        os.sched_setaffinity(0, {core})
    if nice:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        # Where the kernel groups processes by session, the group's priority counts, not the process's.
        os.setsid()
        if os.path.exists("/proc/self/autogroup"):
            with open("/proc/self/autogroup", "w") as file:
                file.write(str(nice))


def run_load(command, options, seconds_max):
    """Runs a load to its end on the load's core: the finished process, with its output."""
    command = [str(word) for word in command]
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds_max,
                              preexec_fn=lambda: place(options.load_core, options.nice))
    except subprocess.TimeoutExpired:
        raise MeasurementError(f"no end within {seconds_max} s: {' '.join(command)}") from None


def raise_descriptor_limit(wanted):
    """Raises RLIMIT_NOFILE to at least `wanted`; servers started later inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        if hard != resource.RLIM_INFINITY and hard < wanted and os.geteuid() != 0:
            raise MeasurementError(f"{wanted} file descriptors are needed, the hard limit is {hard}", code=2)
        top = hard if hard == resource.RLIM_INFINITY else max(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, top))


# ---------------------------------------------------------------- one server


MAKING = threading.Lock()


def encryption():
    """A folder with certificates, a server's flags that name them, and a client's context: the same for all threads."""
    with MAKING:
        return made_encryption()


@functools.cache
def made_encryption():
    # It ends with the script, which keeps it.
    folder = tempfile.TemporaryDirectory()
    authority = Authority(folder.name)
    return folder, server_flags(authority.sign("localhost")), authority.context()


class Server(Process):
    """A fresh server for one measurement: `with Server(...) as server:`; stopped when the block ends."""

    def __init__(self, binary, options, memory_mb, connections_max=4096, extra=()):
        if options.tls:
            _, flags, self.context = encryption()
            extra = [*extra, *flags]
        large_pages = ["-L"] if options.large_pages else []
        super().__init__(binary, "-m", memory_mb, "-t", options.threads, "-c", connections_max, *extra, *large_pages,
                         port=options.port or free_port())
        self.options = options

    def prepare(self):
        place(self.options.server_core, self.options.nice)

    def __enter__(self):
        refuse_a_taken_port(self.port)
        return super().__enter__()

    def cpu(self):
        return Cpu.of(self.pid)

    def settle(self):
        """Waits until work left from the preload is done (a hash table still growing, say)."""
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        while time.monotonic() < deadline:
            before = self.cpu()
            time.sleep(SETTLE_WINDOW_SECONDS)
            if self.cpu().since(before)[0] <= SETTLE_BUSY_MAX * SETTLE_WINDOW_SECONDS:
                return
        print(f"note: still busy {SETTLE_SECONDS_MAX} s after the preload", file=sys.stderr)

    def voluntary_switches(self):
        """Times any thread has gone to sleep by itself: wake-ups, in an idle process."""
        tasks = glob.glob(f"/proc/{self.pid}/task/*/status")
        return sum(int(status_field(task, "voluntary_ctxt_switches")) for task in tasks)


class Cpu:
    """CPU time of all live threads of a process. The total is exact (nanoseconds, from schedstat); its
    user part is a sample taken at each clock tick, so it wants some seconds of load."""

    def __init__(self, total_seconds, user_seconds, system_seconds):
        self.total_seconds = total_seconds
        self.user_seconds = user_seconds
        self.system_seconds = system_seconds

    @classmethod
    def of(cls, pid):
        total = 0
        for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
            with open(path) as file:
                total += int(file.read().split()[0])
        with open(f"/proc/{pid}/stat") as file:
            # The name before ")" may hold spaces; utime and stime are fields 14 and 15 of the whole line.
            fields = file.read().rsplit(")", 1)[1].split()
        return cls(total / 1e9, int(fields[11]) / TICKS_PER_SECOND, int(fields[12]) / TICKS_PER_SECOND)

    def since(self, earlier):
        """(total, user) seconds from `earlier` to this moment."""
        total = self.total_seconds - earlier.total_seconds
        user = self.user_seconds - earlier.user_seconds
        system = self.system_seconds - earlier.system_seconds
        share = user / (user + system) if user + system > 0 else 0.0
        return total, total * share


class Machine:
    """CPU time of the whole machine, and of this script with the loads it has ended."""

    def __init__(self):
        with open("/proc/stat") as file:
            ticks = [int(word) for word in file.readline().split()[1:9]]
        # Fields 4 and 5 are idle time, alone and waiting for I/O; guest time is part of the first two.
        self.busy_seconds = (sum(ticks) - ticks[3] - ticks[4]) / TICKS_PER_SECOND
        self.at = time.monotonic()
        own, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        self.own_seconds = own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime

    def others_since(self, earlier, server_seconds):
        """Cores that were kept busy from `earlier` to this moment by neither the server nor us."""
        busy, own = self.busy_seconds - earlier.busy_seconds, self.own_seconds - earlier.own_seconds
        return max(0.0, busy - own - server_seconds) / (self.at - earlier.at)


def status_field(path, name):
    with open(path) as file:
        for line in file:
            if line.startswith(name + ":"):
                return line.split()[1]
    raise MeasurementError(f"{path} has no {name}")


def free_port():
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def refuse_a_taken_port(port):
    """Another server on the port would be measured in place of ours."""
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex((HOST, port)) == 0:
            raise MeasurementError(f"port {port} is in use", code=2)


# ---------------------------------------------------------------- figures


def ratio(ours, theirs):
    return ours / theirs if theirs else float("nan")


def median(values):
    return statistics.median(values)


def geometric_mean(values):
    return statistics.geometric_mean(values) if values else float("nan")


def mb(byte_count):
    return byte_count / (1 << 20)
