#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Independent oracle of mac1, mac2 and cookie replies (paper sections 5.4.4 and 5.4.7).

hashlib for BLAKE2s, HChaCha20 written out, python-cryptography for the rest of XChaCha20-Poly1305;
shares no code with lib/cookie. Prints vectors.h; `--check FILE` compares instead (exit 1 when it
differs, 77 when python-cryptography is missing).
"""
import hashlib
import struct
import sys

try:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
except ImportError:
    sys.exit(77)


def mac(key, data):
    return hashlib.blake2s(data, key=key, digest_size=16).digest()


def quarter(s, a, b, c, d):
    for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & 0xffffffff
        v = s[z] ^ s[x]
        s[z] = (v << n | v >> (32 - n)) & 0xffffffff


def hchacha20(key, nonce16):
    s = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce16))
    for _ in range(10):
        for i in range(4):
            quarter(s, i, i + 4, i + 8, i + 12)
        for i in range(4):
            quarter(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<8I", *s[:4], *s[12:])


def xaead(key, nonce, plain, ad):
    return ChaCha20Poly1305(hchacha20(key, nonce[:16])).encrypt(bytes(4) + nonce[16:], plain, ad)


def vectors():
    public = bytes(range(100, 132))
    secret = bytes(range(32))  # the test's generator counts up
    nonce = bytes(range(32, 56))
    body = bytes(i * 7 & 0xff for i in range(116))
    v4 = bytes([192, 0, 2, 77]) + (51820).to_bytes(2, "big")
    v6 = bytes.fromhex("20010db8000000010000000000000099") + (443).to_bytes(2, "big")
    mac1 = mac(hashlib.blake2s(b"mac1----" + public).digest(), body)
    cookie_key = hashlib.blake2s(b"cookie--" + public).digest()
    out = {"public": public, "body": body, "mac1": mac1}
    for name, source in (("v4", v4), ("v6", v6)):
        cookie = mac(secret, source)
        out["cookie_" + name] = cookie
        out["mac2_" + name] = mac(cookie, body + mac1)
        out["reply_" + name] = (struct.pack("<II", 3, 0xcafe0123) + nonce +
                                xaead(cookie_key, nonce, cookie, mac1))
    return out


def render():
    out = ["/* SPDX-License-Identifier: BSD-3-Clause */\n/* Made by make_vectors.py. */\n/* clang-format off */\n"
           "#include <stdint.h>\n\n#define V_SENDER 0xcafe0123u\n"]
    for name, data in vectors().items():
        rows = [data[i:i + 12] for i in range(0, len(data), 12)]
        body = ",\n".join("\t" + ", ".join("0x%02x" % b for b in row) for row in rows)
        out.append("static const uint8_t v_%s[%d] = {\n%s};\n" % (name, len(data), body))
    return "\n".join(out)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        with open(sys.argv[2], encoding="ascii") as f:
            sys.exit(0 if f.read() == render() else 1)
    sys.stdout.write(render())
