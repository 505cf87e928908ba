"""Captures without libpcap: pcap in both byte orders, microseconds and nanoseconds, and the basics of pcapng (one Ethernet interface,
enhanced packet blocks). packets(path) gives (time in microseconds, bytes) as vfm-test takes them: cut to the snapshot length and to
65,535 bytes, time never going back; it ends at the first damage. Raises NotEthernet for what vfm-test refuses."""
import struct

MAX_CAPTURED = 262144  # above this libpcap calls a record damaged
MAGICS = {b"\xd4\xc3\xb2\xa1": ("<", 1), b"\xa1\xb2\xc3\xd4": (">", 1), b"\x4d\x3c\xb2\xa1": ("<", 1000),
          b"\xa1\xb2\x3c\x4d": (">", 1000)}


class NotEthernet(Exception):
    pass


def packets(path):
    with open(path, "rb") as f:
        data = f.read()
    latest = 0
    for time_us, packet in (pcapng if data[:4] == b"\x0a\x0d\x0d\x0a" else pcap)(data):
        latest = max(latest, time_us)
        yield latest, packet[:65535]


def pcap(data):
    if data[:4] not in MAGICS or len(data) < 24:
        raise NotEthernet("no capture")
    order, per_us = MAGICS[data[:4]]
    snaplen, link_type = struct.unpack_from(order + "II", data, 16)
    if link_type & 0xFFFF != 1:
        raise NotEthernet(f"link type {link_type}")
    record, at = struct.Struct(order + "IIII"), 24
    while at + 16 <= len(data):
        seconds, fraction, captured, _ = record.unpack_from(data, at)
        at += 16
        if captured > MAX_CAPTURED or at + captured > len(data):
            return
        yield seconds * 10**6 + fraction // per_us, data[at:at + min(captured, snaplen or captured)]
        at += captured


def pcapng(data):
    order, at, per_second, snaplen, seen = "<", 0, None, 0, False
    while at + 12 <= len(data):
        if data[at:at + 4] == b"\x0a\x0d\x0d\x0a":
            order = "<" if data[at + 8:at + 12] == b"\x4d\x3c\x2b\x1a" else ">"
        kind, length = struct.unpack_from(order + "II", data, at)
        if length < 12 or at + length > len(data):
            return
        if kind == 1:
            link_type, _, snaplen = struct.unpack_from(order + "HHI", data, at + 8)
            if link_type != 1 or seen:
                raise NotEthernet("more than one Ethernet interface")
            seen, per_second = True, resolution(data[at + 16:at + length - 4], order)
        elif kind == 6:
            _, high, low, captured, _ = struct.unpack_from(order + "IIIII", data, at + 8)
            if captured > min(length - 32, MAX_CAPTURED):
                return
            yield (high << 32 | low) * 10**6 // per_second, data[at + 28:at + 28 + min(captured, snaplen or captured)]
        at += length
    if not seen:
        raise NotEthernet("no interface")


def resolution(options, order):
    """Units of time in a second: option 9, default 10^6."""
    at = 0
    while at + 4 <= len(options):
        code, n = struct.unpack_from(order + "HH", options, at)
        if code == 9:
            value = options[at + 4]
            return 2**(value & 127) if value & 128 else 10**value
        at += 4 + (n + 3) // 4 * 4
    return 10**6
