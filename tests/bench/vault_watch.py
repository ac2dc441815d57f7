"""Looks at processes from outside while they work: how evenly it sends, and what its threads do."""
import collections
import contextlib
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time

from bench_ember import cpu_seconds

NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY, NLMSG_ERROR, NLMSG_DONE = 4, 20, 2, 3
NLM_F_REQUEST, NLM_F_DUMP = 1, 0x300
INET_DIAG_INFO, ESTABLISHED = 2, 1 << 1
BYTES_ACKED = 120  # in struct tcp_info, linux/tcp.h
LOOK_SECONDS, DISCOVER_SECONDS = 0.002, 0.1
PORTION = 4096  # bytes; less is not a backup's data
ANY_SOCKET = struct.pack(">2H", 0, 0) + bytes(36) + b"\xff" * 8


class Sockets:
    """Established TCP connections of this network namespace (sock_diag(7))."""

    def __init__(self):
        self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)

    def close(self):
        self._netlink.close()

    def to_port(self, port):
        """(family, id) of those whose other end is `port`."""
        wanted = struct.pack(">H", port)
        return [(family, identity) for family in (socket.AF_INET, socket.AF_INET6)
                for identity, _ in self._ask(family, ANY_SOCKET, NLM_F_DUMP) if identity[2:4] == wanted]

    def bytes_acked(self, family, identity):
        """What the other end has acknowledged; None when the connection is no more."""
        for _, info in self._ask(family, identity, 0):
            return struct.unpack_from("=Q", info, BYTES_ACKED)[0] if len(info) >= BYTES_ACKED + 8 else None
        return None

    def _ask(self, family, identity, flags):
        request = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), 0, ESTABLISHED) + identity
        self._netlink.send(struct.pack("=IHHII", 16 + len(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST | flags, 0, 0) + request)
        found = []
        while True:
            data = self._netlink.recv(1 << 16)
            while data:
                length, kind = struct.unpack_from("=IH", data)
                if kind in (NLMSG_ERROR, NLMSG_DONE):
                    return found
                found.append((data[20:68], self._attribute(data[88:length])))
                data = data[(length + 3) & ~3:]
            if not flags:
                return found

    @staticmethod
    def _attribute(data):
        while len(data) >= 4:
            length, kind = struct.unpack_from("=HH", data)
            if kind == INET_DIAG_INFO:
                return data[4:length]
            data = data[(length + 3) & ~3:]
        return b""


class Flow:
    """When bytes went to `port`, for the length of `with`. The looking is done by a process of its own, of high priority where
    that is allowed: a look that comes late would be taken for a stall."""

    def __init__(self, port):
        self._port = port
        self.moments, self.sent, self.look_pause_max = [], 0, 0  # (time, bytes acknowledged by then)

    def __enter__(self):
        self.error = ""
        self._process = subprocess.Popen([sys.executable, "-B", os.path.abspath(__file__), str(self._port)], text=True,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._process.stdout.readline()  # it looks from now on
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._process.stdin.close()  # its end
        self._thread.join()
        self.error = self._process.stderr.read().strip()
        self._process.stdout.close()
        self._process.stderr.close()
        self._process.wait()

    def _read(self):
        for line in self._process.stdout:
            now, self.sent, pause = (kind(value) for kind, value in zip((float, int, float), line.split()))
            if self.moments:
                self.look_pause_max = max(self.look_pause_max, pause)
            self.moments.append((now, self.sent))

    def ended(self):
        return self._process.poll() is not None

    def longest_gap(self, begin, end):
        """(seconds, seconds looked at): the longest time without bytes between `begin` and `end`, while they were sent: the
        first and the last hundredth of all bytes, greetings and questions afterwards, do not count."""
        sending = [at for at, sent in self.moments if 0.01 * self.sent <= sent <= 0.99 * self.sent]
        inside = [each for each in sending if begin <= each <= end]
        before = [each for each in sending if each < begin]
        after = [each for each in sending if each > end]
        moments = ([begin] if before else []) + inside + ([end] if after else [])
        if len(moments) < 2:
            return None, 0
        return max(b - a for a, b in zip(moments, moments[1:])), moments[-1] - moments[0]


def print_flow(port):
    """An empty line at the beginning, then one for each look that saw bytes acknowledged: when, how many since the beginning,
    and the longest time between two looks since the line before. Ends when the standard input does."""
    with contextlib.suppress(PermissionError):
        os.nice(-15)
    sockets, known, discover, sent, pause, last = Sockets(), {}, 0, 0, 0, time.monotonic()
    print(flush=True)
    while not select.select([sys.stdin], [], [], LOOK_SECONDS)[0]:
        now = time.monotonic()
        pause, last = max(pause, now - last), now
        if now >= discover:  # walks the kernel's whole table
            for connection in sockets.to_port(port):
                known.setdefault(connection, sockets.bytes_acked(*connection) or 0)
            discover = now + DISCOVER_SECONDS
        portion = 0
        for connection, before in list(known.items()):
            acked = sockets.bytes_acked(*connection)
            if acked is None:
                del known[connection]
            elif acked - before >= PORTION:
                known[connection] = acked
                portion += acked - before
        if portion:
            sent += portion
            print(now, sent, pause, flush=True)
            pause = 0


class Watcher:
    """Calls `look()` every `seconds` in a thread of its own, for the length of `with`."""
    seconds = 0.05

    def __enter__(self):
        self._stop, self.error = threading.Event(), None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        try:
            while not self._stop.wait(self.seconds):
                self.look()
        except OSError as error:
            self.error = error


class Threads(Watcher):
    """Where the threads of some processes spend their time, as text."""

    def __init__(self, pids):
        self._pids, self._threads = pids, {}
        self._waits = collections.Counter()
        self._looks = 0

    def __enter__(self):
        self._begin, self._cpu, self._io = time.monotonic(), self._user_system(), self._disk()
        self._cpu_all = sum(map(cpu_seconds, self._pids))
        self.look()
        return super().__enter__()

    def __exit__(self, *_):
        super().__exit__()
        if self.error is None:
            self.look()
            self._wall = time.monotonic() - self._begin

    def _user_system(self):
        user = system = 0
        for pid in self._pids:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            user, system = user + int(fields[11]), system + int(fields[12])
        return user, system

    def _disk(self):
        read = written = 0
        for pid in self._pids:
            with open(f"/proc/{pid}/io") as file:
                values = dict(line.split(": ") for line in file)
            read, written = read + int(values["read_bytes"]), written + int(values["write_bytes"])
        return read, written

    def look(self):
        self._looks += 1
        ticks = os.sysconf("SC_CLK_TCK")
        for pid, tid in ((pid, tid) for pid in self._pids for tid in os.listdir(f"/proc/{pid}/task")):
            try:
                with open(f"/proc/{pid}/task/{tid}/stat") as file:
                    name, fields = file.read().rsplit(")", 1)
                with open(f"/proc/{pid}/task/{tid}/wchan") as file:
                    where = file.read().strip("\0\n0") or "running"
            except OSError:  # ended meanwhile
                continue
            fields = fields.split()
            cpu = (int(fields[11]) + int(fields[12])) / ticks
            first = self._threads[tid][1] if tid in self._threads else cpu if self._looks == 1 else 0
            worked = tid in self._threads and cpu > self._threads[tid][2]
            self._threads[tid] = (name.split("(", 1)[1], first, cpu)
            if worked or fields[0] == "D":
                self._waits["running" if fields[0] == "R" else f"disk ({where})" if fields[0] == "D" else where] += 1

    def text(self):
        if self.error is not None:
            return f"not measured: {self.error}"
        user, system = (after - before for before, after in zip(self._cpu, self._user_system()))
        busy = (sum(map(cpu_seconds, self._pids)) - self._cpu_all) / self._wall
        read, written = (after - before for before, after in zip(self._io, self._disk()))
        by_name, used = collections.Counter(), []
        for name, first, last in self._threads.values():
            by_name[name] += last - first
            used.append(last - first)
        by_name["ended between two looks"] = max(0, busy * self._wall - sum(used))
        used.sort(reverse=True)
        busiest = [each / self._wall for each in used[:6]]
        total = max(1, sum(self._waits.values()))
        disk = sum(count for where, count in self._waits.items() if where.startswith("disk")) / total
        return "\n".join([
            f"  {busy:.2f} of {os.cpu_count()} cores busy for {self._wall:.2f} s, {100 * user / max(1, user + system):.0f} % of it user",
            "  by thread name: " + ", ".join(f"{name} {cpu:.2f} s" for name, cpu in by_name.most_common(6) if cpu >= 0.01),
            "  busiest threads: " + ", ".join(f"{100 * each:.0f} %" for each in busiest if each >= 0.01),
            "  threads at work were found in: " + ", ".join(f"{where} {100 * count / total:.0f} %"
                                                           for where, count in self._waits.most_common(6)),
            f"  disk: {read / 2**20:.0f} MiB read, {written / 2**20:.0f} MiB written",
            "  hint: " + self._hint(busy, max(busiest, default=0), disk)])

    @staticmethod
    def _hint(busy, busiest, disk):
        if busy >= 0.85 * os.cpu_count():
            return "bound by the processors"
        if busiest >= 0.85:
            return "one thread is always at work and the others wait for it"
        if disk >= 0.2:
            return "waits for the disk"
        return "neither the processors nor one thread are full: steps wait for each other, for locks, for fsync or for the EM"


if __name__ == "__main__":
    print_flow(int(sys.argv[1]))
