"""The verifier's arithmetic of secagg/1 a second time: Python's integers and standard library, AES by its tables.

    python3 oracle.py < session.json > sum.json

Reads what a session published and what its members answered; checks every seed against its commitment, puts the secrets of
silent members together from shares, and takes the masks off the sum. It shares no line with the code under test.
"""
import hashlib
import hmac
import json
import struct
import sys

import fips203

PREFIX = b'secagg/1 '
P = 2**255 - 19


def sha256(data):
    return hashlib.sha256(data).digest()


def hkdf(secret, salt, info, length):
    key = hmac.new(salt or bytes(32), secret, hashlib.sha256).digest()
    out, block, count = b'', b'', 0
    while len(out) < length:
        count += 1
        block = hmac.new(key, block + info + bytes([count]), hashlib.sha256).digest()
        out += block
    return out[:length]


def u16(value):
    return struct.pack('>H', value)


def x25519(scalar, u):
    """RFC 7748 section 5, the Montgomery ladder."""
    k = bytearray(scalar)
    k[0] &= 248
    k[31] = (k[31] & 127) | 64
    k = int.from_bytes(k, 'little')
    x1 = int.from_bytes(u, 'little') & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for bit in reversed(range(255)):
        now = (k >> bit) & 1
        if swap ^ now:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = now
        a, b, c, d = (x2 + z2) % P, (x2 - z2) % P, (x3 + z3) % P, (x3 - z3) % P
        aa, bb, da, cb = a * a % P, b * b % P, d * a % P, c * b % P
        e = (aa - bb) % P
        x3, z3 = (da + cb) ** 2 % P, x1 * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, 'little')


def gf(a, b):
    """GF(2^8) with 0x11b."""
    out = 0
    while b:
        if b & 1:
            out ^= a
        a = (a << 1) ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return out


INVERSE = [0] + [next(b for b in range(1, 256) if gf(a, b) == 1) for a in range(1, 256)]


def substitution(a):
    x = INVERSE[a]
    return x ^ (x << 1 | x >> 7) & 255 ^ (x << 2 | x >> 6) & 255 ^ (x << 3 | x >> 5) & 255 ^ (x << 4 | x >> 4) & 255 ^ 0x63


SBOX = [substitution(a) for a in range(256)]
DOUBLE = [gf(a, 2) for a in range(256)]


def expand(key):
    """FIPS 197 section 5.2 for 256 bits."""
    words = [list(key[i : i + 4]) for i in range(0, 32, 4)]
    constant = 1
    for i in range(8, 60):
        word = list(words[i - 1])
        if i % 8 == 0:
            word = [SBOX[b] for b in word[1:] + word[:1]]
            word[0] ^= constant
            constant = DOUBLE[constant]
        elif i % 8 == 4:
            word = [SBOX[b] for b in word]
        words.append([a ^ b for a, b in zip(words[i - 8], word)])
    return [sum(words[4 * r : 4 * r + 4], []) for r in range(15)]


def encrypt(block, keys):
    state = [a ^ b for a, b in zip(block, keys[0])]
    for r in range(1, 15):
        state = [SBOX[state[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if r < 14:
            mixed = []
            for c in range(0, 16, 4):
                col = state[c : c + 4]
                every = col[0] ^ col[1] ^ col[2] ^ col[3]
                mixed += [col[i] ^ every ^ DOUBLE[col[i] ^ col[(i + 1) % 4]] for i in range(4)]
            state = mixed
        state = [a ^ b for a, b in zip(state, keys[r])]
    return bytes(state)


def keystream(seed, lanes):
    keys = expand(seed[:32])
    out = b''.join(encrypt(seed[32:40] + struct.pack('>Q', n), keys) for n in range((lanes + 3) // 4))
    return struct.unpack(f'<{lanes}I', out[: 4 * lanes])


def combine(shares, t):
    """Lagrange at 0 over the first t of {holder: share}."""
    chosen = sorted(shares.items())[:t]
    assert len(chosen) == t, 'too few shares'
    out = bytearray(32)
    for x, share in chosen:
        weight = 1
        for other, _ in chosen:
            if other != x:
                weight = gf(weight, gf(other, INVERSE[other ^ x]))
        for i, byte in enumerate(share):
            out[i] ^= gf(weight, byte)
    return bytes(out)


def self_seed(b, sid, u):
    return hkdf(b, sid, PREFIX + b'prg\0\x01' + u16(u), 40)


def kem_seed(secret, name):
    """d and z."""
    seed = hkdf(secret, b'', PREFIX + name + b'-mlkem768', 64)
    return seed[:32], seed[32:]


def coins(lower_root, sid, higher):
    return hkdf(lower_root, sid, PREFIX + b'mask-kem-coins\0' + u16(higher), 32)


def pair_secret(agreed, sid, u, v, binding):
    return hkdf(agreed, sid, PREFIX + b'pairwise-mask\0' + u16(min(u, v)) + u16(max(u, v)) + binding, 32)


def pair_seed(pair, sid, u, v):
    return hkdf(pair, sid, PREFIX + b'prg\0\x02' + u16(min(u, v)) + u16(max(u, v)), 40)


def shares_of(answers, kind, dealer):
    return {a['u']: bytes.fromhex(s['share']) for a in answers for s in a[kind] if s['u'] == dealer}


class Session:
    """What was published of it."""

    def __init__(self, said):
        self.sid = sha256(PREFIX + b'sid\0' + bytes.fromhex(said['rosterHash']))
        self.members = {m['u']: {k: bytes.fromhex(m[k]) for k in m if k != 'u'} for m in said['members']}
        self.answers, self.t, self.dropouts = said['answers'], said['t'], said['dropouts']
        self.vectors = {v['u']: bytes.fromhex(v['bytes']) for v in said['vectors']}
        self.promised = {(p['u'], p['v']): bytes.fromhex(p['hM']) for p in said['promised']}
        self.ciphertexts = {(c['u'], c['v']): bytes.fromhex(c['ct']) for c in said['maskCts']}

    def self_of(self, u):
        """A survivor's own word, or the shares of it where it fell silent."""
        own = [bytes.fromhex(a['self']) for a in self.answers if a['u'] == u]
        b = own[0] if own else combine(shares_of(self.answers, 'bShares', u), self.t)
        member = self.members[u]
        assert sha256(PREFIX + b'self-mask-commit\0' + member['id'] + b) == member['bCommit'], f'self seed {u}'
        return b

    def root_of(self, v):
        root = combine(shares_of(self.answers, 'rootShares', v), self.t)
        secret = hkdf(root, b'', PREFIX + b'mask-x25519', 32)
        assert x25519(secret, bytes([9]) + bytes(31)) == self.members[v]['sPk'], f'mask root {v}'
        dk = None
        if 'sKemPk' in self.members[v]:
            ek, dk = fips203.key_gen(*kem_seed(root, b'mask'))
            assert ek == self.members[v]['sKemPk'], f'mask root {v}, ML-KEM'
        return root, secret, dk

    def pair_of(self, u, v, root, secret, dk):
        """The common mask of survivor u and dropout v, from what v's root makes."""
        classic = x25519(secret, self.members[u]['sPk'])
        if dk is None:
            return pair_secret(classic, self.sid, u, v, b'')
        if v < u:
            ct, shared = fips203.encaps(self.members[u]['sKemPk'], coins(root, self.sid, u))
        else:
            ct = self.ciphertexts[u, v]
            shared = fips203.decaps(dk, ct)
        assert sha256(ct) == self.promised[min(u, v), max(u, v)], f'ciphertext of {u} and {v}'
        return pair_secret(shared + classic, self.sid, u, v, sha256(ct))

    def sum(self):
        lanes = len(next(iter(self.vectors.values()))) // 4
        total = [0] * lanes

        def add(words, sign):
            for i, word in enumerate(words):
                total[i] = (total[i] + sign * word) % 2**32

        for u, vector in self.vectors.items():
            add(struct.unpack(f'<{lanes}I', vector), 1)
            add(keystream(self_seed(self.self_of(u), self.sid, u), lanes), -1)
        for v in self.dropouts:
            keys = self.root_of(v)
            for u in self.vectors:
                stream = keystream(pair_seed(self.pair_of(u, v, *keys), self.sid, u, v), lanes)
                add(stream, -1 if u < v else 1)
        return struct.pack(f'<{lanes}I', *total)


if __name__ == '__main__':
    session = Session(json.load(sys.stdin))
    json.dump({'sid': session.sid.hex(), 'sum': session.sum().hex()}, sys.stdout)
