#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Independent oracle of the WireGuard handshake (paper section 5.4.2-5.4.5).

Written from the paper's formulas on top of hashlib, hmac and python-cryptography; shares no code with
lib/noise. Prints transcript.h; `--check FILE` compares instead (exit 1 when it differs, 77 when
python-cryptography is missing).
"""
import hashlib
import hmac
import sys

try:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
except ImportError:
    sys.exit(77)


def hash_(*parts):
    return hashlib.blake2s(b"".join(parts)).digest()


def mac(key, data):
    return hmac.new(key, data, hashlib.blake2s).digest()


def kdf(n, key, data):
    t0 = mac(key, data)
    out, t = [], b""
    for i in range(1, n + 1):
        t = mac(t0, t + bytes([i]))
        out.append(t)
    return out


def dh(private, public):
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


def pub(private):
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def aead(key, plain, ad):
    return ChaCha20Poly1305(key).encrypt(bytes(12), plain, ad)


def le32(n):
    return n.to_bytes(4, "little")


def secret(label):
    return hashlib.sha256(label.encode()).digest()


def transcript(psk):
    si, sr, ei, er = (secret("sluice " + n) for n in ("static i", "static r", "ephemeral i", "ephemeral r"))
    index_i, index_r = 0x11223344, 0xa1b2c3d4
    timestamp = bytes.fromhex("4000000065f1c0de0bebc200")
    v = {"static_i": si, "static_r": sr, "eph_i": ei, "eph_r": er, "psk": psk, "timestamp": timestamp,
         "static_i_pub": pub(si), "static_r_pub": pub(sr)}

    c = hash_(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
    h = hash_(c, b"WireGuard v1 zx2c4 Jason@zx2c4.com")
    h = hash_(h, pub(sr))

    c, = kdf(1, c, pub(ei))
    h = hash_(h, pub(ei))
    c, k = kdf(2, c, dh(ei, pub(sr)))
    enc_static = aead(k, pub(si), h)
    h = hash_(h, enc_static)
    c, k = kdf(2, c, dh(si, pub(sr)))
    enc_timestamp = aead(k, timestamp, h)
    h = hash_(h, enc_timestamp)
    v["initiation"] = le32(1) + le32(index_i) + pub(ei) + enc_static + enc_timestamp + bytes(32)

    c, = kdf(1, c, pub(er))
    h = hash_(h, pub(er))
    c, = kdf(1, c, dh(er, pub(ei)))
    c, = kdf(1, c, dh(er, pub(si)))
    c, t, k = kdf(3, c, psk)
    h = hash_(h, t)
    enc_empty = aead(k, b"", h)
    h = hash_(h, enc_empty)
    v["response"] = le32(2) + le32(index_r) + le32(index_i) + pub(er) + enc_empty + bytes(32)
    v["key_i_to_r"], v["key_r_to_i"] = kdf(2, c, b"")
    return v


def c_array(name, data):
    rows = [data[i:i + 12] for i in range(0, len(data), 12)]
    body = ",\n".join("\t" + ", ".join("0x%02x" % b for b in row) for row in rows)
    return "static const uint8_t %s[%d] = {\n%s};\n" % (name, len(data), body)


def render():
    out = ["/* SPDX-License-Identifier: BSD-3-Clause */\n/* Made by make_transcript.py. */\n/* clang-format off */\n"
           "#include <stdint.h>\n\n#define T_INDEX_I 0x11223344u\n#define T_INDEX_R 0xa1b2c3d4u\n"]
    plain, keyed = transcript(bytes(32)), transcript(secret("sluice psk"))
    for name, data in keyed.items():
        out.append(c_array("t_" + name, data))
    for name in ("response", "key_i_to_r", "key_r_to_i"):
        out.append(c_array("t_nopsk_" + name, plain[name]))
    return "\n".join(out)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        with open(sys.argv[2], encoding="ascii") as f:
            sys.exit(0 if f.read() == render() else 1)
    sys.stdout.write(render())
