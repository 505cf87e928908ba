"""The twins: each filter once more, as plain Python over one flat dict, written from the manual's words and the page on the machine.

A twin has the filter's file, `state` ({(table, key): value}, what --table prints at the end) and judge(packet, now in microseconds),
which returns the verdict or raises Bounds; what it stored before stays stored. Loads stand in the program's order."""
from fields import Bounds, be, five_tuple, hash5

EXAMPLES = "examples/manual/"
HERE = "test/golden/twins/"
IPV4, TCP, SYN, ACK, RST = 0x0800, 6, 2, 0x10, 4


def is_tcp4(p):
    return be(p, 12, 2) == IPV4 and be(p, 23, 1) == TCP


class SynFlood:
    """Manual, "Connection Tracking", corrected: a source's SYNs after its tenth are dropped."""
    filter = EXAMPLES + "syn-flood.vfm"

    def __init__(self):
        self.state = {}

    def judge(self, p, now):
        if not is_tcp4(p) or be(p, 47, 1) & (SYN | ACK) != SYN:
            return 1
        source = (0, be(p, 26, 4))
        self.state[source] = self.state.get(source, 0) + 1
        return 0 if self.state[source] > 10 else 1


class PortScan:
    """Manual, Appendix A, corrected: a SYN to a port that is new for its source is dropped if it is its 21st or a later one."""
    filter = EXAMPLES + "port-scan.vfm"

    def __init__(self):
        self.state = {}

    def judge(self, p, now):
        if not is_tcp4(p) or be(p, 47, 1) & (SYN | ACK) != SYN:
            return 1
        source = be(p, 26, 4)
        pair = (0, 1 << 48 | source << 16 | be(p, 36, 2))
        if pair in self.state:
            return 1
        self.state[pair] = 1
        self.state[0, source] = self.state.get((0, source), 0) + 1
        return 0 if self.state[0, source] > 20 else 1


class ConnectionTracker:
    """Manual, Appendix A, corrected: SYN passes; SYN-ACK after a SYN; all else of TCP only once established."""
    filter = EXAMPLES + "connection-tracker.vfm"

    def __init__(self):
        self.state = {}

    def judge(self, p, now):
        if not is_tcp4(p):
            return 1
        key = (0, be(p, 26, 4) ^ be(p, 30, 4) ^ be(p, 34, 2) ^ be(p, 36, 2))
        flags = be(p, 47, 1) & (SYN | ACK)
        if flags == SYN:
            self.state[key] = 1
            return 1
        if flags == SYN | ACK:
            if self.state.get(key) != 1:
                return 0
            self.state[key] = 2
            return 1
        return 1 if self.state.get(key) == 2 else 0


class FlowLimit:
    """Manual, FLOW_STORE's example, corrected: packets of one 5-tuple after its hundredth are dropped."""
    filter = EXAMPLES + "rate-limit.vfm"

    def __init__(self):
        self.state = {}

    def judge(self, p, now):
        flow = (0, hash5(p))
        self.state[flow] = self.state.get(flow, 0) + 1
        return 0 if self.state[flow] > 100 else 1


class FlowLimitByTuple:
    """The same counted by the tuple itself, no hash in it: would show two flows that share a hash."""
    filter = EXAMPLES + "rate-limit.vfm"

    def __init__(self):
        self.state, self.counts = None, {}

    def judge(self, p, now):
        flow = five_tuple(p)
        self.counts[flow] = self.counts.get(flow, 0) + 1
        return 0 if self.counts[flow] > 100 else 1


class Hash5:
    """HASH5 itself is the verdict."""
    filter = HERE + "hash5.vfm"

    def __init__(self):
        self.state = {}

    def judge(self, p, now):
        return hash5(p)


class Hash5Symmetric:
    """HASH5S itself is the verdict."""
    filter = HERE + "hash5s.vfm"

    def __init__(self):
        self.state = {}

    def judge(self, p, now):
        return hash5(p, both_directions=True)


class SourceRate:
    """A source's IPv4 packets after its twentieth in one second of packet time are dropped; seconds are those of the clock."""
    filter = HERE + "source-rate.vfm"

    def __init__(self):
        self.state = {}

    def judge(self, p, now):
        if be(p, 12, 2) != IPV4:
            return 1
        source, second = be(p, 26, 4), now // 10**6
        if self.state.get((0, source), 0) != second:
            self.state[0, source] = second
            self.state[1, source] = 0
        self.state[1, source] = self.state.get((1, source), 0) + 1
        return 0 if self.state[1, source] > 20 else 1


class TokenBucket:
    """2,000 bytes a second with a burst of 3,000 for each IPv4 destination; tokens are millionths of a byte, from a full bucket."""
    filter = HERE + "token-bucket.vfm"

    def __init__(self):
        self.state = {}

    def judge(self, p, now):
        if be(p, 12, 2) != IPV4:
            return 1
        key = be(p, 30, 4)
        earned = (now - self.state.get((0, key), 0)) * 2000
        tokens = min(self.state.get((1, key), 0) + earned, 3000 * 10**6)
        self.state[0, key] = now
        enough = tokens >= len(p) * 10**6
        self.state[1, key] = tokens - len(p) * 10**6 if enough else tokens
        return 1 if enough else 0


class Firewall:
    """TCP from a higher to a lower port opens a flow, RST closes it; the other way passes only while the flow is open and was not idle for
    more than two seconds (TABLE 0 ... 2, in whole seconds of packet time)."""
    filter = HERE + "firewall.vfm"

    def __init__(self):
        self.state, self.opened = None, {}

    def judge(self, p, now):
        if not is_tcp4(p):
            return 1
        flow, second = hash5(p, both_directions=True), now // 10**6
        if be(p, 34, 2) > be(p, 36, 2):
            self.opened[flow] = second
        elif second - self.opened.get(flow, -10) > 2:
            return 0
        if be(p, 47, 1) & RST:
            self.opened.pop(flow, None)
        return 1


TWINS = [SynFlood, PortScan, ConnectionTracker, FlowLimit, FlowLimitByTuple, Hash5, Hash5Symmetric, SourceRate, TokenBucket, Firewall]


def judge_all(twin, packets):
    """Verdict lines for (time, packet) pairs; the clock never goes back."""
    clock = 0
    for time_us, packet in packets:
        clock = max(clock, time_us)
        try:
            yield str(twin.judge(packet, clock))
        except Bounds:
            yield "BOUNDS"


def table_lines(twin):
    return [f"{table} 0x{key:016x} 0x{value:016x}" for (table, key), value in sorted(twin.state.items())]
