#!/usr/bin/env python3
"""A client of a hub, written by mesh-protocol(7) alone, with Python's standard library.

hub_client.py id SEED                    prints the node id of a key
hub_client.py check URL HUB SEED SEED    two nodes meet at the hub: all that the page says
hub_client.py wait URL HUB SEED NAME     declines the first request for NAME, prints the dialer
hub_client.py open URL HUB SEED NAME     asks NAME for a session, prints what it has sealed
hub_client.py seal URL HUB SEED NAME     lets the first node in that asks for NAME, prints it

The last two need HPKE, which newer versions of the package cryptography have (48 does).
Without it they end with 77.

URL is ws://127.0.0.1:PORT, HUB the hub's node id, SEED an Ed25519 seed in hexadecimal.
"""
import base64
import hashlib
import json
import os
import socket
import struct
import sys

# Ed25519 (RFC 8032, section 6).
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def add(a, b):
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    g, h = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = f - e, h - g, h + g, f + e
    return e * f % P, g * h % P, f * g % P, e * h % P


def mul(n, point):
    total = (0, 1, 1, 0)
    while n:
        if n & 1:
            total = add(total, point)
        point, n = add(point, point), n >> 1
    return total


def recover(y, sign):
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * SQRT_M1 % P
    if (x * x - x2) % P:
        raise ValueError("no point of the curve")
    return P - x if x & 1 != sign else x


BASE_Y = 4 * pow(5, -1, P) % P
BASE_X = recover(BASE_Y, 0)
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def compress(point):
    z = pow(point[2], -1, P)
    x, y = point[0] * z % P, point[1] * z % P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def decompress(b):
    n = int.from_bytes(b, "little")
    y = n & (1 << 255) - 1
    x = recover(y, n >> 255)
    return x, y, 1, x * y % P


def digest(*parts):
    return int.from_bytes(hashlib.sha512(b"".join(parts)).digest(), "little") % L


class Key:
    def __init__(self, seed):
        h = hashlib.sha512(seed).digest()
        self.a = int.from_bytes(h[:32], "little") & (1 << 254) - 8 | 1 << 254
        self.prefix = h[32:]
        self.public = compress(mul(self.a, BASE))

    def sign(self, text):
        r = digest(self.prefix, text)
        head = compress(mul(r, BASE))
        return head + ((r + digest(head, self.public, text) * self.a) % L).to_bytes(32, "little")


def verify(public, text, sig):
    s = int.from_bytes(sig[32:], "little")
    left = mul(s, BASE)
    right = add(decompress(sig[:32]), mul(digest(sig[:32], public, text), decompress(public)))
    return s < L and compress(left) == compress(right)


# The texts of mesh-protocol(7).
def node_text(public):
    check = hashlib.sha256(b"mesh node id" + public).digest()[:4]
    return "mk1" + base64.b32encode(public + check).decode().rstrip("=").lower()


def node_key(text):
    raw = base64.b32decode(text[3:].upper() + "=" * (-(len(text) - 3) % 8))
    if node_text(raw[:32]) != text:
        raise ValueError("no node id: " + text)
    return raw[:32]


def signed(label, *parts):
    text = b"mesh-hub/1 " + label.encode() + b"\0"
    for part in parts:
        if isinstance(part, str):
            part = part.encode()
        if isinstance(part, int):
            part = struct.pack(">I", part)
        text += struct.pack(">H", len(part)) + part
    return text


def b64(b):
    return base64.b64encode(b).decode()


class Closed(Exception):
    """The hub has closed the connection, with a code."""


class WebSocket:
    """A client of RFC 6455, as far as it is needed here."""

    def __init__(self, host, port, path):
        self.sock = socket.create_connection((host, port), timeout=20)
        key = b64(os.urandom(16))
        self.sock.sendall((
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mesh-hub.1\r\n\r\n"
        ).encode())
        self.file = self.sock.makefile("rb")
        status = self.file.readline().decode()
        headers = {}
        while line := self.file.readline().decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        accept = b64(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        assert " 101 " in status, status
        assert headers["sec-websocket-accept"] == accept, headers
        assert headers["sec-websocket-protocol"] == "mesh-hub.1", headers
        self.pongs = []

    def send(self, opcode, payload):
        mask = os.urandom(4)
        n = len(payload)
        head = bytes([0x80 | opcode])
        if n < 126:
            head += bytes([0x80 | n])
        else:
            head += bytes([0x80 | 126]) + struct.pack(">H", n)
        self.sock.sendall(head + mask + bytes(c ^ mask[i % 4] for i, c in enumerate(payload)))

    def exactly(self, n):
        b = self.file.read(n)
        if len(b) < n:
            raise Closed(1006)
        return b

    def receive(self):
        """Return the next text message, or None for a pong."""
        text = b""
        while True:
            first, n = self.exactly(2)
            if n == 126:
                n = struct.unpack(">H", self.exactly(2))[0]
            elif n == 127:
                n = struct.unpack(">Q", self.exactly(8))[0]
            payload = self.exactly(n)
            opcode = first & 15
            if opcode == 8:
                raise Closed(struct.unpack(">H", payload[:2])[0] if payload else 1005)
            if opcode == 10:
                self.pongs.append(payload)
                return None
            if opcode == 9:
                self.send(10, payload)
                continue
            text += payload
            if first & 0x80:
                return text.decode()


class Client:
    """A node at the hub."""

    def __init__(self, url, hub, key, instance=None, **hello):
        self.key, self.hub, self.node = key, node_key(hub), node_text(key.public)
        self.ids, self.events = 0, []
        host, port = url.removeprefix("ws://").split(":")
        nonce = os.urandom(16)
        self.ws = WebSocket(host, int(port), "/ws?n=" + nonce.hex())
        c = self.next("system.challenge")["data"]
        binding, challenge = bytes(32), base64.b64decode(c["nonce"])
        assert c["hub"] == hub and len(challenge) == 32, c
        assert verify(self.hub, signed("hub", url, nonce, challenge, binding), base64.b64decode(c["proof"])), "the proof"
        instance = instance or os.urandom(16)
        self.tell("system.hello", {
            "node": self.node, "binding": b64(binding), "instance": instance.hex(), "agent": "hub_client.py",
            "sig": b64(key.sign(signed("login", url, self.hub, challenge, binding, instance))), **hello,
        })
        self.welcome = self.next("system.welcome")["data"]

    def tell(self, typ, data, ident=None):
        event = {"type": typ, "data": data}
        if ident:
            event["id"] = ident
        self.ws.send(1, json.dumps(event).encode())

    def ask(self, typ, data):
        """Send an event and return its answer."""
        self.ids += 1
        self.tell(typ, data, f"q{self.ids}")
        while True:
            event = self.read()
            if event.get("ref") == f"q{self.ids}":
                return event
            self.events.append(event)

    def want(self, answer, typ, data):
        got = self.ask(typ, data)
        assert answer in (got["type"], got.get("data", {}).get("code")), f"{typ}: got {got}, want {answer}"
        return got.get("data", {})

    def read(self):
        while True:
            text = self.ws.receive()
            if text is not None:
                return json.loads(text)

    def next(self, typ):
        """Return the next event of a type. Others wait."""
        for i, event in enumerate(self.events):
            if event["type"] == typ:
                return self.events.pop(i)
        while True:
            event = self.read()
            if event["type"] == typ:
                return event
            self.events.append(event)

    def closed(self):
        try:
            while True:
                self.read()
        except Closed as closed:
            return closed.args[0]

    def request(self, to, kind="pipe", answer_s=0, seal=None):
        r = {"session": os.urandom(16).hex(), "to": to, "kind": kind, "want": "send", "seal": b64(seal or os.urandom(1216))}
        r["answer_s"] = answer_s
        r["sig"] = b64(self.key.sign(self.request_text(r)))
        return r

    def request_text(self, r):
        return signed("request", self.hub, bytes.fromhex(r["session"]), r["to"], r["kind"], r["want"], base64.b64decode(r["seal"]), r.get("answer_s", 0))

    def accept_text(self, r, dialer, sealed):
        return signed("accept", self.hub, bytes.fromhex(r["session"]), dialer, base64.b64decode(r["sig"]), sealed)


def names(alice, bob):
    assert bob.welcome["ping_s"] == 20 and "observed" in bob.welcome, bob.welcome
    assert bob.want("system.registered", "system.register", {"name": "bob", "kinds": ["pipe"], "lasting": True}) == {"name": "bob"}
    assert "owner" in alice.want("taken", "system.register", {"name": "bob", "kinds": ["pipe"]})
    alice.want("bad_name", "system.register", {"name": "Bob", "kinds": ["pipe"]})
    alice.want("not_found", "system.release", {"name": "carol"})
    for peer in ("bob", bob.node):
        got = alice.want("system.peer", "system.lookup", {"peer": peer})
        assert got["node"] == bob.node and got["online"] and got["kinds"] == ["pipe"], got
    alice.want("not_found", "system.lookup", {"peer": "carol"})
    alice.want("system.ok", "system.watch", {"peer": "bob", "kind": "files"})
    bob.want("system.registered", "system.register", {"name": "bob", "kinds": ["pipe", "files"], "lasting": True})
    online = alice.next("system.online")["data"]
    assert online["node"] == bob.node and "files" in online["kinds"], online


def rooms(alice, bob):
    assert alice.want("room.peers", "room.join", {"room": "ops", "watch": True})["peers"][0]["node"] == alice.node
    assert len(bob.want("room.peers", "room.join", {"room": "ops"})["peers"]) == 2
    joined = alice.next("room.joined")["data"]
    assert joined["room"] == "ops" and joined["peer"]["node"] == bob.node, joined
    assert alice.want("system.peer", "system.lookup", {"peer": "ops/bob"})["node"] == bob.node
    bob.want("system.ok", "room.leave", {"room": "ops"})
    left = alice.next("room.left")["data"]
    assert left["rev"] == joined["rev"] + 1 and left["reason"] == "leave", (joined, left)


def session(alice, bob):
    r = alice.request("bob")
    alice.want("system.ok", "p2p.session.request", r)
    offer = bob.next("p2p.session.offer")
    got = offer["data"]["request"]
    assert offer["from"] == alice.node and got["session"] == r["session"], offer
    assert verify(alice.key.public, bob.request_text(got), base64.b64decode(got["sig"])), "the request's signature"
    bob.want("system.ok", "p2p.session.pending", {"session": r["session"]})
    assert alice.next("p2p.session.pending")["data"]["session"] == r["session"]
    sealed = os.urandom(1300)
    accept = {"session": r["session"], "sealed": b64(sealed), "sig": b64(bob.key.sign(bob.accept_text(r, alice.key.public, sealed)))}
    bob.want("system.ok", "p2p.session.accept", accept)
    mine, other = alice.next("p2p.session.created")["data"], bob.next("p2p.session.created")["data"]
    assert mine["role"] == "dialer" and mine["peer"] == bob.node and base64.b64decode(mine["session_token"]) == sealed, mine
    assert verify(bob.key.public, alice.accept_text(r, alice.key.public, sealed), base64.b64decode(mine["sig"])), "the accept's signature"
    assert other["role"] == "listener" and other["peer"] == alice.node and "session_token" not in other, other
    # The same request is the same session, and another one cannot have its id.
    alice.want("system.ok", "p2p.session.request", r)
    assert bob.next("p2p.session.offer")["data"]["request"]["sig"] == r["sig"]
    other = alice.request("bob")
    other["session"] = r["session"]
    other["sig"] = b64(alice.key.sign(alice.request_text(other)))
    alice.want("bad_event", "p2p.session.request", other)
    alice.want("system.ok", "p2p.session.candidates", {"session": r["session"], "gen": 1, "sealed": b64(b"x")})
    assert bob.next("p2p.session.candidates")["data"]["gen"] == 1
    bob.want("system.ok", "p2p.session.closed", {"session": r["session"], "reason": "done"})
    assert alice.next("p2p.session.closed")["data"]["reason"] == "done"
    # Declined, cancelled, timed out, offline.
    r = alice.request("bob")
    alice.want("system.ok", "p2p.session.request", r)
    bob.next("p2p.session.offer")
    bob.want("system.ok", "p2p.session.decline", {"session": r["session"], "code": "denied"})
    assert alice.next("p2p.session.declined")["data"] == {"session": r["session"], "code": "denied"}
    r = alice.request("bob")
    alice.want("system.ok", "p2p.session.request", r)
    alice.want("system.ok", "p2p.session.cancel", {"session": r["session"]})
    assert bob.next("p2p.session.cancelled")["data"]["session"] == r["session"]
    r = alice.request("bob", answer_s=1)
    alice.want("system.ok", "p2p.session.request", r)
    assert alice.next("p2p.session.declined")["data"]["code"] == "timeout"
    alice.want("offline", "p2p.session.request", alice.request("bob", kind="tty"))
    alice.want("not_found", "p2p.session.request", alice.request("carol"))


def check(url, hub, first, second):
    instance = os.urandom(16)
    alice, bob = Client(url, hub, first, instance), Client(url, hub, second)
    alice.ws.send(9, b"alive")
    names(alice, bob)
    assert alice.ws.pongs == [b"alive"], alice.ws.pongs
    rooms(alice, bob)
    session(alice, bob)
    alice.want("unsupported", "system.unheard", {})
    for bad in ("other.event", "other.event", "other.event"):
        bob.tell(bad, {})
    assert bob.closed() == 4000, "three malformed events"
    again = Client(url, hub, first, instance)
    assert alice.closed() == 4009, "the same instance again"
    assert again.want("system.peer", "system.lookup", {"peer": node_text(first.public)})["online"]
    stranger = Key(os.urandom(32))
    try:
        Client(url, hub, stranger)
    except Closed as closed:
        assert closed.args[0] == 4003, closed
    else:
        raise AssertionError("a stranger is logged in")
    print("ok")


def wait(url, hub, key, name):
    c = Client(url, hub, key)
    c.want("system.registered", "system.register", {"name": name, "kinds": ["pipe"]})
    print("waiting", flush=True)
    offer = c.next("p2p.session.offer")
    c.want("system.ok", "p2p.session.decline", {"session": offer["data"]["request"]["session"], "code": "busy"})
    print(offer["from"])


def hpke():
    """Return the suite of sealed messages and its modules, or end with 77."""
    try:
        from cryptography.hazmat.primitives import hpke
        from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
        return hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM), hpke, mlkem, x25519
    except (ImportError, AttributeError) as missing:
        print("no HPKE here:", missing, file=sys.stderr)
        sys.exit(77)


def session_info(r, dialer, listener):
    return b"mesh-hub/1 session" + bytes.fromhex(r["session"]) + dialer + listener


def open_sealed(url, hub, key, name):
    suite, kinds, mlkem, x25519 = hpke()
    halves = mlkem.MLKEM768PrivateKey.generate(), x25519.X25519PrivateKey.generate()
    public = halves[0].public_key().public_bytes_raw() + halves[1].public_key().public_bytes_raw()
    assert len(public) == 1216, len(public)
    c = Client(url, hub, key)
    r = c.request(name, seal=public)
    c.want("system.ok", "p2p.session.request", r)
    created = c.next("p2p.session.created")["data"]
    listener, sealed = node_key(created["peer"]), base64.b64decode(created["session_token"])
    assert verify(listener, c.accept_text(r, key.public, sealed), base64.b64decode(created["sig"])), "the accept's signature"
    text = suite.decrypt(sealed, kinds.MLKEM768X25519PrivateKey(*halves), session_info(r, key.public, listener))
    c.want("system.ok", "p2p.session.closed", {"session": r["session"], "reason": "done"})
    print(json.dumps(json.loads(text), sort_keys=True))


def seal(url, hub, key, name):
    suite, kinds, mlkem, x25519 = hpke()
    c = Client(url, hub, key)
    c.want("system.registered", "system.register", {"name": name, "kinds": ["pipe"]})
    print("waiting", flush=True)
    offer = c.next("p2p.session.offer")
    r, dialer = offer["data"]["request"], node_key(offer["from"])
    assert verify(dialer, c.request_text(r), base64.b64decode(r["sig"])), "the request's signature"
    public = base64.b64decode(r["seal"])
    public = kinds.MLKEM768X25519PublicKey(mlkem.MLKEM768PublicKey.from_public_bytes(public[:1184]), x25519.X25519PublicKey.from_public_bytes(public[1184:]))
    # Nobody listens at this address, which is one for examples (RFC 5737).
    grant = {"method": "key", "caps": "send", "candidates": [{"type": "host", "proto": "tcp", "addr": "192.0.2.1:9", "priority": 1}]}
    sealed = suite.encrypt(json.dumps(grant).encode(), public, session_info(r, dialer, key.public))
    c.want("system.ok", "p2p.session.accept", {"session": r["session"], "sealed": b64(sealed), "sig": b64(key.sign(c.accept_text(r, dialer, sealed)))})
    c.next("p2p.session.candidates")  # of a dialer that has opened the grant
    print(offer["from"])


def main(command, *args):
    if command == "id":
        print(node_text(Key(bytes.fromhex(args[0])).public))
    elif command == "check":
        check(args[0], args[1], *(Key(bytes.fromhex(seed)) for seed in args[2:4]))
    elif command in ("wait", "open", "seal"):
        {"wait": wait, "open": open_sealed, "seal": seal}[command](args[0], args[1], Key(bytes.fromhex(args[2])), args[3])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:])
