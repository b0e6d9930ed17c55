"""ML-KEM-768 a second time, from the text of FIPS 203 and with nothing but Python's integers and hashes.

    python3 fips203.py 100

The transform is taken from its definition (4.12), by powers of the roots, and not from the butterflies that everybody
writes. It shares no line with the code under test, is slow, and leaks its secrets to any clock: it is for tests.
Prints what `accumulated` says of so many draws.
"""
import hashlib
import sys
from operator import mul

Q, K, DU, DV = 3329, 3, 10, 4
INVERSE_OF_128 = pow(128, -1, Q)


def gamma(i):
    """17^(2·BitRev7(i) + 1): the polynomial ring splits into X² − gamma(i)."""
    return pow(17, 2 * int(f'{i:07b}'[::-1], 2) + 1, Q)


GAMMAS = [gamma(i) for i in range(128)]
FORWARD = [[pow(g, j, Q) for j in range(128)] for g in GAMMAS]
BACKWARD = [[pow(g, -j, Q) * INVERSE_OF_128 % Q for g in GAMMAS] for j in range(128)]


def transform(rows, f):
    """Even and odd coefficients, each by itself."""
    even, odd = f[::2], f[1::2]
    return [sum(map(mul, row, half)) % Q for row in rows for half in (even, odd)]


def ntt(f):
    return transform(FORWARD, f)


def inverse_ntt(f):
    return transform(BACKWARD, f)


def multiply(f, g):
    """Algorithms 11 and 12: pairs modulo X² − gamma(i)."""
    out = []
    for i, root in enumerate(GAMMAS):
        (a, b), (c, d) = f[2 * i : 2 * i + 2], g[2 * i : 2 * i + 2]
        out += [(a * c + b * d * root) % Q, (a * d + b * c) % Q]
    return out


def add(*polynomials):
    return [sum(column) % Q for column in zip(*polynomials)]


def inner(row, column):
    return add(*(multiply(f, g) for f, g in zip(row, column)))


def sha3_512_halves(data):
    """G."""
    out = hashlib.sha3_512(data).digest()
    return out[:32], out[32:]


def encode(bits, f):
    """Algorithm 5: coefficients of so many bits, little-endian, end to end."""
    return sum(value << bits * i for i, value in enumerate(f)).to_bytes(32 * bits, 'little')


def decode(bits, data):
    """Algorithm 6."""
    whole = int.from_bytes(data, 'little')
    return [(whole >> bits * i) % 2**bits % Q for i in range(256)]


def compress(bits, f):
    """(4.7), rounding to the nearest; there is no half, since Q is odd."""
    return [((2 * value << bits) + Q) // (2 * Q) % 2**bits for value in f]


def decompress(bits, f):
    """(4.8), a half upwards."""
    return [(2 * Q * value + 2**bits) // 2 ** (bits + 1) for value in f]


def sample_ntt(seed, column, row):
    """Algorithm 7. Of 896 candidates of 12 bits some 728 are below Q."""
    stream = hashlib.shake_128(seed + bytes([column, row])).digest(1344)
    whole = [(stream[i] + 256 * (stream[i + 1] % 16), stream[i + 1] // 16 + 16 * stream[i + 2]) for i in range(0, 1344, 3)]
    found = [value for pair in whole for value in pair if value < Q]
    assert len(found) >= 256, 'so unlucky a seed is not known'
    return found[:256]


def sample_noise(seed, count):
    """Algorithm 8 with eta 2: two bits minus two bits."""
    stream = int.from_bytes(hashlib.shake_256(seed + bytes([count])).digest(128), 'little')
    bits = [stream >> i & 1 for i in range(1024)]
    return [(bits[i] + bits[i + 1] - bits[i + 2] - bits[i + 3]) % Q for i in range(0, 1024, 4)]


def matrix(rho):
    return [[sample_ntt(rho, j, i) for j in range(K)] for i in range(K)]


def key_gen(d, z):
    """Algorithms 13 and 16. Returns the encapsulation key and the decapsulation key."""
    rho, sigma = sha3_512_halves(d + bytes([K]))
    a = matrix(rho)
    s = [ntt(sample_noise(sigma, i)) for i in range(K)]
    e = [ntt(sample_noise(sigma, K + i)) for i in range(K)]
    ek = b''.join(encode(12, add(inner(a[i], s), e[i])) for i in range(K)) + rho
    return ek, b''.join(encode(12, f) for f in s) + ek + hashlib.sha3_256(ek).digest() + z


def encrypt(ek, m, r):
    """Algorithm 14."""
    t, a = [decode(12, ek[384 * i : 384 * i + 384]) for i in range(K)], matrix(ek[384 * K :])
    y = [ntt(sample_noise(r, i)) for i in range(K)]
    u = [add(inverse_ntt(inner([a[j][i] for j in range(K)], y)), sample_noise(r, K + i)) for i in range(K)]
    v = add(inverse_ntt(inner(t, y)), sample_noise(r, 2 * K), decompress(1, decode(1, m)))
    return b''.join(encode(DU, compress(DU, f)) for f in u) + encode(DV, compress(DV, v))


def decrypt(dk, c):
    """Algorithm 15."""
    u = [decompress(DU, decode(DU, c[32 * DU * i : 32 * DU * (i + 1)])) for i in range(K)]
    v = decompress(DV, decode(DV, c[32 * DU * K :]))
    s = [decode(12, dk[384 * i : 384 * i + 384]) for i in range(K)]
    su = inverse_ntt(inner(s, [ntt(f) for f in u]))
    return encode(1, compress(1, [(a - b) % Q for a, b in zip(v, su)]))


def encaps(ek, m):
    """Algorithm 17. Returns the ciphertext and the shared secret."""
    shared, r = sha3_512_halves(m + hashlib.sha3_256(ek).digest())
    return encrypt(ek, m, r), shared


def decaps(dk, c):
    """Algorithm 18, with its implicit rejection."""
    ek, h, z = dk[384 * K : 768 * K + 32], dk[768 * K + 32 : 768 * K + 64], dk[768 * K + 64 :]
    m = decrypt(dk, c)
    shared, r = sha3_512_halves(m + h)
    return shared if encrypt(ek, m, r) == c else hashlib.shake_256(z + c).digest(32)


def accumulated(draws):
    """The test of Go's crypto/mlkem: d ‖ z, m and a random ciphertext from SHAKE128 of nothing, again and again; SHAKE128
    of every key, ciphertext, secret and rejection."""
    stream = hashlib.shake_128(b'').digest(1184 * draws)
    out = b''
    for at in range(0, len(stream), 1184):
        d, z, m, junk = (stream[at + a : at + b] for a, b in ((0, 32), (32, 64), (64, 96), (96, 1184)))
        ek, dk = key_gen(d, z)
        c, shared = encaps(ek, m)
        assert decaps(dk, c) == shared
        out += ek + c + shared + decaps(dk, junk)
    return hashlib.shake_128(out).hexdigest(32)


if __name__ == '__main__':
    print(accumulated(int(sys.argv[1])))
