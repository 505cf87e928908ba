"""Packet fields for the twins, read as the manual has its loads: big-endian, Bounds beyond the packet; and the 5-tuple and its hash as
the page on the machine defines them."""

MASK = 2**64 - 1
EXTENSIONS = {0, 43, 44, 51, 60, 135, 139, 140}


class Bounds(Exception):
    pass


def be(p, offset, size):
    if offset + size > len(p):
        raise Bounds
    return int.from_bytes(p[offset:offset + size], "big")


def mix64(x):
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        x = (x ^ x >> 33) * factor & MASK
    return x ^ x >> 33


def five_tuple(p):
    """(source, destination, source port, destination port, protocol), addresses as bytes; None: not IP, or cut off before the ports."""
    try:
        kind, at = be(p, 12, 2), 14
        for _ in range(2):
            if kind in (0x8100, 0x88A8, 0x9100):
                kind, at = be(p, at + 2, 2), at + 4
        return {0x0800: tuple4, 0x86DD: tuple6}[kind](p, at)
    except (Bounds, KeyError):
        return None


def tuple4(p, at):
    words, version = be(p, at, 1) & 15, be(p, at, 1) >> 4
    be(p, at + 4 * max(words, 5) - 1, 1)  # the header is whole
    if version != 4 or words < 5:
        return None
    return with_ports(p, at + 4 * words, p[at + 12:at + 16], p[at + 16:at + 20], p[at + 9], be(p, at + 6, 2) & 0x1FFF)


def tuple6(p, at):
    be(p, at + 39, 1)
    if p[at] >> 4 != 6:
        return None
    protocol, src, dst, fragment, at = p[at + 6], p[at + 8:at + 24], p[at + 24:at + 40], 0, at + 40
    for _ in range(8):
        if protocol not in EXTENSIONS or fragment:
            break
        size = 8 if protocol == 44 else (be(p, at + 1, 1) + 2) * 4 if protocol == 51 else (be(p, at + 1, 1) + 1) * 8
        be(p, at + size - 1, 1)
        fragment = be(p, at + 2, 2) >> 3 if protocol == 44 else 0
        protocol, at = p[at], at + size
    return with_ports(p, at, src, dst, protocol, fragment)


def with_ports(p, at, src, dst, protocol, fragment):
    if not fragment and protocol != 59 and protocol not in EXTENSIONS:
        be(p, at, 1)  # something of the transport header is there
    if fragment or protocol not in (6, 17, 132):
        return src, dst, 0, 0, protocol
    return src, dst, be(p, at, 2), be(p, at + 2, 2), protocol


def hash_words(data):
    h = 0
    for i in range(0, len(data), 8):
        h = mix64(h ^ int.from_bytes(data[i:i + 8].ljust(8, b"\0"), "big"))
    return h


def hash5(p, both_directions=False):
    t = five_tuple(p)
    if not t:
        return 0
    src, dst, sport, dport, protocol = t
    if both_directions and (dst, dport) < (src, sport):
        src, dst, sport, dport = dst, src, dport, sport
    return hash_words(src + dst + sport.to_bytes(2, "big") + dport.to_bytes(2, "big") + bytes([protocol]))
