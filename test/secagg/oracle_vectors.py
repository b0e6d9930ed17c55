"""The vectors of test/vectors/secagg.json a second time, from the texts that docs/protocol.md makes them of.

    python3 oracle_vectors.py > vectors.json

All of them but the signed Confirm: keys, shares, a box, pairs, masked vectors and sums, in suite 1 and (`hybrid`) suite 2.
"""
import json
import struct
import sys

import fips203
from oracle import (
    PREFIX,
    coins,
    encrypt,
    expand,
    gf,
    hkdf,
    kem_seed,
    keystream,
    pair_secret,
    pair_seed,
    self_seed,
    sha256,
    u16,
    x25519,
)

LANES, THRESHOLD, DROPOUT = 24, 3, 3
SID = sha256(b'secagg/1 test sid')


class Member:
    def __init__(self, u):
        self.u, self.id = u, sha256(b'secagg/1 test id %d' % u)
        self.root = sha256(b'secagg/1 test client %d' % u)
        self.b, self.mask_root = self.derived(b'self-mask'), self.derived(b'mask-root')
        self.channel = self.derived(b'channel-x25519')
        self.mask = hkdf(self.mask_root, b'', PREFIX + b'mask-x25519', 32)
        self.channel_kem = fips203.key_gen(*kem_seed(self.root, b'channel'))
        self.mask_kem = fips203.key_gen(*kem_seed(self.mask_root, b'mask'))

    def derived(self, name):
        return hkdf(self.root, b'', PREFIX + name, 32)

    def share(self, secret, name, x):
        """Horner's rule over the coefficients of x^(t-1) … x^1 and the secret."""
        key = hkdf(self.root, SID, PREFIX + b'shamir-coeffs-' + name, 32)
        stream = struct.pack('<%dI' % (8 * (THRESHOLD - 1)), *keystream(key + bytes(8), 8 * (THRESHOLD - 1)))
        value = bytes(32)
        for at in range(32 * (THRESHOLD - 2), -32, -32):
            value = bytes(gf(a, x) ^ b for a, b in zip(value, stream[at : at + 32]))
        return bytes(gf(a, x) ^ b for a, b in zip(value, secret))

    def input(self):
        return [100 * self.u, 1] + [0] * 6 + [(1_000_003 * self.u + 7_919 * i) % 2**24 for i in range(16)]


MEMBERS = {u: Member(u) for u in range(1, 6)}


def public(secret):
    return x25519(secret, bytes([9]) + bytes(31))


def kem_of(low, high):
    """The lower member's ciphertext to the higher, and the secret in it."""
    return fips203.encaps(high.mask_kem[0], coins(low.mask_root, SID, high.u))


def pair(own, peer, hybrid):
    """From the keys of `own`: in suite 2 the lower one seals, the higher one opens."""
    classic = x25519(own.mask, public(peer.mask))
    if not hybrid:
        return pair_secret(classic, SID, own.u, peer.u, b'')
    low, high = sorted((own, peer), key=lambda member: member.u)
    ct, shared = kem_of(low, high)
    if own is high:
        shared = fips203.decaps(high.mask_kem[1], ct)
    return pair_secret(shared + classic, SID, own.u, peer.u, sha256(ct))


def added(total, words, sign):
    return [(a + sign * b) % 2**32 for a, b in zip(total, words)]


def common(own, peer, hybrid):
    return keystream(pair_seed(pair(own, peer, hybrid), SID, own.u, peer.u), LANES)


def masked(own, hybrid):
    out = added(own.input(), keystream(self_seed(own.b, SID, own.u), LANES), 1)
    for peer in MEMBERS.values():
        if peer is not own:
            out = added(out, common(own, peer, hybrid), 1 if own.u < peer.u else -1)
    return out


def unmasked(vectors, hybrid):
    gone, total = MEMBERS[DROPOUT], [0] * LANES
    for u, member in MEMBERS.items():
        if member is not gone:
            total = added(total, vectors[u], 1)
            total = added(total, keystream(self_seed(member.b, SID, u), LANES), -1)
            total = added(total, common(gone, member, hybrid), -1 if u < DROPOUT else 1)
    return packed(total)


def packed(words):
    return struct.pack(f'<{len(words)}I', *words)


def gcm_seal(key, nonce, aad, plaintext):
    """SP 800-38D: the counter begins at 2, and GHASH takes polynomials with their lowest power first."""
    keys = expand(key)
    block = lambda count: encrypt(nonce + struct.pack('>I', count), keys)
    stream = b''.join(block(2 + i) for i in range(len(plaintext) // 16 + 1))
    ciphertext = bytes(a ^ b for a, b in zip(plaintext, stream))
    padded = lambda data: data + bytes(-len(data) % 16)
    text = padded(aad) + padded(ciphertext) + struct.pack('>QQ', 8 * len(aad), 8 * len(ciphertext))
    h, tag = int.from_bytes(encrypt(bytes(16), keys), 'big'), 0
    for at in range(0, len(text), 16):
        x, tag, power = tag ^ int.from_bytes(text[at : at + 16], 'big'), 0, h
        for bit in reversed(range(128)):
            tag ^= power * (x >> bit & 1)
            power = power >> 1 ^ (0xE1 << 120) * (power & 1)
    return ciphertext + (tag ^ int.from_bytes(block(1), 'big')).to_bytes(16, 'big')


def suite(hybrid):
    vectors = {u: masked(member, hybrid) for u, member in MEMBERS.items()}
    total = unmasked(vectors, hybrid)
    return total, {
        'sha256_y': [sha256(packed(vector)).hex() for vector in vectors.values()],
        'sha256_sum': sha256(total).hex(),
    }


def main():
    one, two = MEMBERS[1], MEMBERS[2]
    chan = hkdf(x25519(one.channel, public(two.channel)), SID, PREFIX + b'channel\0' + u16(1) + u16(2), 32)
    nonce, context = bytes(range(12)), PREFIX + b'share\0' + SID + u16(1) + u16(2)
    seed = pair_seed(pair(one, two, False), SID, 1, 2)
    ct, shared = kem_of(one, two)
    total, plain = suite(False)
    named = {
        'sid': SID,
        'root_1': one.root,
        'b_1': one.b,
        'maskRoot_1': one.mask_root,
        'cPk_1': public(one.channel),
        'sPk_1': public(one.mask),
        'bCommit_1': sha256(PREFIX + b'self-mask-commit\0' + one.id + one.b),
        'sPk_2': public(two.mask),
        'pair_12': pair(one, two, False),
        'prgSeed_12': seed,
        'chan_12': chan,
        'box_12': nonce + gcm_seal(chan, nonce, context, b'\x01\x02' + b'\xaa' * 32 + b'\xbb' * 32),
        'rootShare_1_at_2': one.share(one.mask_root, b'root', 2),
        'selfShare_1_at_5': one.share(one.b, b'self', 5),
        'sum': total,
    }
    hybrid = {
        'sha256_sKemPk_1': sha256(one.mask_kem[0]),
        'sha256_sKemPk_2': sha256(two.mask_kem[0]),
        'sha256_cKemPk_1': sha256(one.channel_kem[0]),
        'coins_12': coins(one.mask_root, SID, 2),
        'sha256_mKemCt_12': sha256(ct),
        'kemShared_12': shared,
        'pair_12': pair(two, one, True),
    }
    text = lambda values: {name: value.hex() for name, value in values.items()}
    out = {**text(named), **plain, 'prgLanes_12': keystream(seed, 8), 'hybrid': {**text(hybrid), **suite(True)[1]}}
    json.dump(out, sys.stdout)


main()
