"""A hand-made ZeroMQ peer for tests: it says what it likes, garbage included, which a library would not let it.

ZMTP 3.0 (https://rfc.zeromq.org/spec/23) with the NULL mechanism, as a DEALER, over ipc and tcp; and the frames of docs/wire.md.
"""
import json
import socket
import struct
import threading

# Numbers of the messages, in the order of docs/wire.md.
KINDS = ("CONFIG WORK VERDICTS RESUME POSITION SYNC DELTA CHANGES SIGMA HAVE CHUNK PULL FINAL ASK WANT RETIRE REPORT ROSTER FAULT COMMAND "
         "ANSWER").split()

GREETING = b"\xff" + b"\0" * 8 + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" * 32


def pack(value):
    """One msgpack object: an unsigned integer, bytes, or a list of such."""
    if isinstance(value, int):
        return b"\xcf" + struct.pack(">Q", value)
    if isinstance(value, bytes):
        return b"\xc6" + struct.pack(">I", len(value)) + value
    return b"\xdc" + struct.pack(">H", len(value)) + b"".join(pack(v) for v in value)


def frame(kind, fields, plan=0, sender=0):
    return pack([1, KINDS.index(kind) + 1, plan, sender, *fields])


class Peer:
    """A connection to an endpoint, under an identity (none: anonymous)."""

    def __init__(self, endpoint, identity=b""):
        scheme, _, where = endpoint.partition("://")
        if scheme == "ipc":
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(where)
        else:
            host, port = where.rsplit(":", 1)
            self.socket = socket.create_connection((host, int(port)))
        self.socket.settimeout(5)
        self.socket.sendall(GREETING)
        self.read(64)
        ready = b"\5READY" + self.item(b"Socket-Type", b"DEALER") + self.item(b"Identity", identity)
        self.socket.sendall(b"\x04" + bytes([len(ready)]) + ready)
        self.read_frame()

    @staticmethod
    def item(name, value):
        return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value

    def read(self, n):
        got = b""
        while len(got) < n:
            part = self.socket.recv(n - len(got))
            if not part:
                raise ConnectionError("cut")
            got += part
        return got

    def read_frame(self):
        flags = self.read(1)[0]
        n = struct.unpack(">Q", self.read(8))[0] if flags & 2 else self.read(1)[0]
        return self.read(n)

    def send(self, body):
        self.socket.sendall(b"\x02" + struct.pack(">Q", len(body)) + body)

    def is_cut(self):
        """True once the other side has closed the connection."""
        try:
            while True:
                self.read_frame()
        except (ConnectionError, BrokenPipeError):
            return True
        except TimeoutError:
            return False

    def ask(self, **question):
        """What vfmctl asks: a COMMAND, answered with JSON."""
        self.send(frame("COMMAND", [json.dumps(question).encode()]))
        answer = self.read_frame()
        return json.loads(answer[answer.index(b'{"'):])

    def close(self):
        self.socket.close()


def identity(incarnation):
    """How a node names its connections (state/quarantine.h)."""
    return b"N" + struct.pack("<Q", incarnation)


class Server:
    """Listens on an ipc path as a ROUTER would, and answers the first frame of the first caller with `body`."""

    def __init__(self, endpoint, body):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(endpoint.partition("://")[2])
        self.listener.listen()
        self.body = body
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        peer = Peer.__new__(Peer)
        peer.socket, _ = self.listener.accept()
        peer.socket.settimeout(5)
        peer.socket.sendall(GREETING)
        peer.read(64)
        ready = b"\5READY" + Peer.item(b"Socket-Type", b"ROUTER") + Peer.item(b"Identity", b"")
        peer.socket.sendall(b"\x04" + bytes([len(ready)]) + ready)
        peer.read_frame(), peer.read_frame()
        peer.send(self.body)
        self.peer = peer


def ask(endpoint, **question):
    peer = Peer(endpoint)
    try:
        return peer.ask(**question)
    finally:
        peer.close()
