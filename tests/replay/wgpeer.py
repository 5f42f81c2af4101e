# SPDX-License-Identifier: BSD-3-Clause
"""An independent WireGuard peer for tests.

It shares no code with the gateway: BLAKE2s is hashlib's, X25519 and ChaCha20-Poly1305 are those of
the package cryptography, HChaCha20 is written out below. Section numbers are those of the WireGuard
paper. Nothing here reads a clock or a random source: ephemeral keys, indexes, timestamps, nonces
and counters come from the caller (or are derived from a name), so that a test can send exactly the
wrong thing, and the same thing each time.
"""
import hashlib
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
LABEL_MAC1 = b"mac1----"
LABEL_COOKIE = b"cookie--"

INITIATION, RESPONSE, COOKIE, DATA = 1, 2, 3, 4
LENGTH = {INITIATION: 148, RESPONSE: 92, COOKIE: 64}
REJECT_AFTER_MESSAGES = 2**64 - 2**13 - 1
TAI64N_BASE = 2**62 + 10


class ProtocolError(Exception):
    """The other side sent something that this peer refuses."""


# --- primitives ----------------------------------------------------------------------------------

def blake2s(*parts):
    h = hashlib.blake2s()
    for p in parts:
        h.update(p)
    return h.digest()


def mac(key, data):
    return hashlib.blake2s(data, key=key, digest_size=16).digest()


def hmac(key, data):
    """HMAC of RFC 2104 over BLAKE2s, by hand."""
    key = key.ljust(64, b"\0")
    inner = blake2s(bytes(b ^ 0x36 for b in key), data)
    return blake2s(bytes(b ^ 0x5C for b in key), inner)


def kdf(key, data, n):
    prk, out, last = hmac(key, data), [], b""
    for i in range(1, n + 1):
        last = hmac(prk, last + bytes([i]))
        out.append(last)
    return out


def clamp(b):
    b = bytearray(b)
    b[0] &= 248
    b[31] = b[31] & 127 | 64
    return bytes(b)


def key_of(name):
    """A private key that belongs to a name."""
    return clamp(hashlib.blake2s(b"key of " + name.encode()).digest())


def public(priv):
    pub = X25519PrivateKey.from_private_bytes(priv).public_key()
    return pub.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def dh(priv, pub):
    return X25519PrivateKey.from_private_bytes(priv).exchange(X25519PublicKey.from_public_bytes(pub))


def nonce(counter):
    return bytes(4) + struct.pack("<Q", counter)


def seal(key, counter, text, aad=b""):
    return ChaCha20Poly1305(key).encrypt(nonce(counter), text, aad)


def unseal(key, counter, text, aad=b""):
    try:
        return ChaCha20Poly1305(key).decrypt(nonce(counter), text, aad)
    except InvalidTag:
        raise ProtocolError("authentication") from None


def _rotl(v, n):
    return (v << n | v >> (32 - n)) & 0xFFFFFFFF


def _quarter(x, a, b, c, d):
    for p, q, r, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        x[p] = (x[p] + x[q]) & 0xFFFFFFFF
        x[r] = _rotl(x[r] ^ x[p], n)


def hchacha20(key, nonce16):
    """draft-irtf-cfrg-xchacha 2.2."""
    x = list(struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key)
             + struct.unpack("<4I", nonce16))
    for _ in range(10):
        for c in range(4):
            _quarter(x, c, 4 + c, 8 + c, 12 + c)
        for c in range(4):
            _quarter(x, c, 4 + (c + 1) % 4, 8 + (c + 2) % 4, 12 + (c + 3) % 4)
    return struct.pack("<8I", *(x[:4] + x[12:]))


def xseal(key, nonce24, text, aad=b""):
    sub = ChaCha20Poly1305(hchacha20(key, nonce24[:16]))
    return sub.encrypt(bytes(4) + nonce24[16:], text, aad)


def xunseal(key, nonce24, text, aad=b""):
    sub = ChaCha20Poly1305(hchacha20(key, nonce24[:16]))
    try:
        return sub.decrypt(bytes(4) + nonce24[16:], text, aad)
    except InvalidTag:
        raise ProtocolError("cookie authentication") from None


def tai64n(ns):
    """Label of a wall time in nanoseconds."""
    return struct.pack(">QI", TAI64N_BASE + ns // 10**9, ns % 10**9)


def tai64n_ns(label):
    s, n = struct.unpack(">QI", label)
    return (s - TAI64N_BASE) * 10**9 + n


# --- Noise IKpsk2 (5.4) --------------------------------------------------------------------------

class Symmetric:
    """Chaining key and hash."""

    def __init__(self, prologue=IDENTIFIER, construction=CONSTRUCTION):
        self.ck = construction.ljust(32, b"\0") if len(construction) < 32 else blake2s(construction)
        self.h = self.ck
        self.mix_hash(prologue)

    def mix_hash(self, data):
        self.h = blake2s(self.h, data)

    def mix_key(self, data):
        self.ck, key = kdf(self.ck, data, 2)
        return key

    def mix_only(self, data):
        self.ck = kdf(self.ck, data, 1)[0]

    def mix_psk(self, psk):
        self.ck, tau, key = kdf(self.ck, psk, 3)
        self.mix_hash(tau)
        return key

    def encrypt(self, key, text):
        out = seal(key, 0, text, self.h)
        self.mix_hash(out)
        return out

    def decrypt(self, key, text):
        out = unseal(key, 0, text, self.h)
        self.mix_hash(text)
        return out

    def split(self):
        return kdf(self.ck, b"", 2)


def write_initiation(sym, static, remote_pub, eph, payload):
    """Both public parts and the payload of the first message, and the state behind it."""
    eph_pub = public(eph)
    sym.mix_hash(remote_pub)
    sym.mix_only(eph_pub)
    sym.mix_hash(eph_pub)
    key = sym.mix_key(dh(eph, remote_pub))
    enc_static = sym.encrypt(key, public(static))
    key = sym.mix_key(dh(static, remote_pub))
    return eph_pub, enc_static, sym.encrypt(key, payload)


def read_initiation(sym, static, eph_pub, enc_static, enc_payload):
    """@return (public key of the initiator, payload)"""
    sym.mix_hash(public(static))
    sym.mix_only(eph_pub)
    sym.mix_hash(eph_pub)
    key = sym.mix_key(dh(static, eph_pub))
    remote = sym.decrypt(key, enc_static)
    key = sym.mix_key(dh(static, remote))
    return remote, sym.decrypt(key, enc_payload)


def write_response(sym, eph, remote_eph, remote_static, psk, payload):
    eph_pub = public(eph)
    sym.mix_only(eph_pub)
    sym.mix_hash(eph_pub)
    sym.mix_only(dh(eph, remote_eph))
    sym.mix_only(dh(eph, remote_static))
    return eph_pub, sym.encrypt(sym.mix_psk(psk), payload)


def read_response(sym, static, eph, remote_eph, psk, enc_payload):
    sym.mix_only(remote_eph)
    sym.mix_hash(remote_eph)
    sym.mix_only(dh(eph, remote_eph))
    sym.mix_only(dh(static, remote_eph))
    return sym.decrypt(sym.mix_psk(psk), enc_payload)


# --- transport (5.4.6) ---------------------------------------------------------------------------

class Keypair:
    def __init__(self, local, remote, send_key, recv_key, initiator):
        self.local, self.remote = local, remote
        self.send_key, self.recv_key = send_key, recv_key
        self.initiator = initiator
        self.counter = 0
        self.seen = set()

    def seal(self, inner=b"", counter=None, pad=True, receiver=None, header=None):
        """A type 4 message; the counter goes up by itself when none is given."""
        if counter is None:
            counter = self.counter
            self.counter += 1
        if pad is True:
            inner += bytes(-len(inner) % 16)
        elif pad:
            inner += bytes(pad)
        receiver = self.remote if receiver is None else receiver
        if header is None:
            header = struct.pack("<IIQ", DATA, receiver, counter)
        return header + seal(self.send_key, counter, inner)

    def open(self, msg):
        """@return (counter, plaintext with padding); a counter may come once."""
        kind, receiver, counter = struct.unpack_from("<IIQ", msg)
        if kind != DATA or receiver != self.local:
            raise ProtocolError("not for this keypair")
        text = unseal(self.recv_key, counter, msg[16:])
        if counter in self.seen:
            raise ProtocolError("counter %d twice" % counter)
        self.seen.add(counter)
        return counter, text


# --- a peer --------------------------------------------------------------------------------------

def mac1_of(receiver_pub, body):
    return mac(blake2s(LABEL_MAC1, receiver_pub), body)


def cookie_key(pub):
    return blake2s(LABEL_COOKIE, pub)


class Peer:
    """One static key, talking to one other static key."""

    def __init__(self, name, remote_pub, psk=bytes(32), wall_ns=1_800_000_000 * 10**9):
        self.name = name
        self.static = key_of(name)
        self.pub = public(self.static)
        self.remote_pub = remote_pub
        self.psk = psk
        self.serial = 0
        self.wall_ns = wall_ns  # of the next timestamp
        self.keypairs = {}      # by local index
        self.pending = {}       # our initiations by local index
        self.current = None
        self.cookie = None      # from a cookie reply, used as key of mac2
        self.last_mac1 = None
        self.last_ts = bytes(12)

    # identities of one handshake, in order and different for every peer
    def next_eph(self):
        self.serial += 1
        return key_of("%s ephemeral %d" % (self.name, self.serial))

    def next_index(self):
        self.serial += 1
        return struct.unpack("<I", blake2s(self.name.encode(), b"index %d" % self.serial)[:4])[0]

    def next_ts(self):
        self.wall_ns += 10**9
        return tai64n(self.wall_ns)

    def macs(self, body, mac1=None, mac2=None):
        """Append mac1 and mac2; both may be given to be wrong."""
        if mac1 is None:
            mac1 = mac1_of(self.remote_pub, body)
        if mac2 is None:
            mac2 = mac(self.cookie, body + mac1) if self.cookie else bytes(16)
        self.last_mac1 = mac1
        return body + mac1 + mac2

    # --- as initiator
    def initiation(self, ts=None, index=None, eph=None, mac1=None, mac2=None, static=None):
        index = self.next_index() if index is None else index
        eph = self.next_eph() if eph is None else eph
        sym = Symmetric()
        parts = write_initiation(sym, static or self.static, self.remote_pub, eph,
                                 self.next_ts() if ts is None else ts)
        self.pending[index] = (sym, eph)
        return self.macs(struct.pack("<II", INITIATION, index) + b"".join(parts), mac1, mac2)

    def on_response(self, msg):
        """@return the new keypair"""
        if len(msg) != LENGTH[RESPONSE]:
            raise ProtocolError("length of a response")
        kind, sender, receiver = struct.unpack_from("<III", msg)
        if kind != RESPONSE or receiver not in self.pending:
            raise ProtocolError("response to nothing")
        if msg[60:76] != mac1_of(self.pub, msg[:60]):
            raise ProtocolError("mac1 of the response")
        sym, eph = self.pending.pop(receiver)
        if read_response(sym, self.static, eph, msg[12:44], self.psk, msg[44:60]) != b"":
            raise ProtocolError("payload of the response")
        send, recv = sym.split()
        return self._add(Keypair(receiver, sender, send, recv, True))

    # --- as responder
    def on_initiation(self, msg):
        """Check an initiation. @return state for response()"""
        if len(msg) != LENGTH[INITIATION] or msg[:4] != b"\1\0\0\0":
            raise ProtocolError("no initiation")
        if msg[116:132] != mac1_of(self.pub, msg[:116]):
            raise ProtocolError("mac1 of the initiation")
        sym = Symmetric()
        eph = msg[8:40]
        remote, ts = read_initiation(sym, self.static, eph, msg[40:88], msg[88:116])
        if remote != self.remote_pub:
            raise ProtocolError("initiation of somebody else")
        if ts <= self.last_ts:
            raise ProtocolError("timestamp of the initiation")
        self.last_ts = ts
        return sym, eph, struct.unpack_from("<I", msg, 4)[0]

    def response(self, state, index=None, eph=None, psk=None, mac1=None, mac2=None, receiver=None):
        """@return (message, keypair)"""
        sym, remote_eph, remote_index = state
        index = self.next_index() if index is None else index
        eph = self.next_eph() if eph is None else eph
        parts = write_response(sym, eph, remote_eph, self.remote_pub,
                               self.psk if psk is None else psk, b"")
        body = struct.pack("<III", RESPONSE, index, remote_index if receiver is None else receiver)
        recv, send = sym.split()
        kp = self._add(Keypair(index, remote_index, send, recv, False), current=False)
        return self.macs(body + b"".join(parts), mac1, mac2), kp

    def _add(self, kp, current=True):
        self.keypairs[kp.local] = kp
        if current:
            self.current = kp
        return kp

    # --- transport
    def open(self, msg):
        """A type 4 message with whichever keypair it names. @return (keypair, counter, text)"""
        kp = self.keypairs.get(struct.unpack_from("<I", msg, 4)[0])
        if kp is None:
            raise ProtocolError("unknown receiver index")
        counter, text = kp.open(msg)
        return kp, counter, text

    # --- cookies (5.4.7)
    def on_cookie(self, msg):
        """Keep the cookie of a reply to our last handshake message."""
        if len(msg) != LENGTH[COOKIE] or msg[:4] != b"\3\0\0\0":
            raise ProtocolError("no cookie reply")
        self.cookie = xunseal(cookie_key(self.remote_pub), msg[8:32], msg[32:], self.last_mac1)
        return struct.unpack_from("<I", msg, 4)[0]

    def cookie_reply(self, msg, source, secret=None, nonce24=None):
        """Answer a handshake message as a responder under load. `source`: address and port bytes."""
        secret = secret or blake2s(b"cookie secret of " + self.name.encode())
        nonce24 = nonce24 or blake2s(msg)[:24]
        at = 132 if msg[0] == INITIATION else 76
        return (struct.pack("<I", COOKIE) + msg[4:8] + nonce24
                + xseal(cookie_key(self.pub), nonce24, mac(secret, source), msg[at - 16:at]))

    def mac2_ok(self, msg, source, secret=None):
        secret = secret or blake2s(b"cookie secret of " + self.name.encode())
        return msg[-16:] == mac(mac(secret, source), msg[:-16])
