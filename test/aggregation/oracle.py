"""The arithmetic of docs/protocol.md a second time, in Python's integers and doubles and nothing but its standard library.

    python3 oracle.py          prints the vectors that test/vectors/arithmetic.json holds

Float32 is struct's '<f': round to nearest, ties to even, as Math.fround. AES is not here: the rounding words are given.
"""
import json
import math
import struct
import sys

MICRO = 1_000_000
LOSS_ONE = 65_536


def fround(value):
    return struct.unpack('<f', struct.pack('<f', value))[0]


def floats(values):
    return struct.pack(f'<{len(values)}f', *values).hex()


def lanes(values):
    return struct.pack(f'<{len(values)}I', *values).hex()


def words(count, start):
    """A Weyl sequence: any words do, since nothing here is random."""
    return [(start + 2_654_435_769 * i) % 2**32 for i in range(1, count + 1)]


def quantiser_for(clip_norm_micro, rows_max, cohort_max):
    bits = min(24, 32 - (cohort_max - 1).bit_length())
    return {'bits': bits, 'rangeMicro': clip_norm_micro, 'weightMax': rows_max, 'nMax': cohort_max}


def clip(delta, bound):
    squares = 0.0
    for x in delta:
        squares += x * x
    norm = math.sqrt(squares)
    if norm <= bound:
        return delta
    scale = (bound / norm) * (1 - 2.0**-23)
    return [fround(x * scale) for x in delta]


def vector(delta, weight, evaluation, q, rounding):
    bound, levels = q['rangeMicro'] / MICRO, 2 ** q['bits'] - 1
    ratio, steps = weight / q['weightMax'], levels / (2 * bound)
    payload = []
    for x, word in zip(delta, rounding):
        value = (min(max(x, -bound), bound) * ratio + bound) * steps
        payload.append(min(math.floor(value + word / 2**32), levels))
    loss = math.floor(evaluation['lossSumNats'] * LOSS_ONE + 0.5)
    payload += [evaluation['rows'], evaluation['correct'], loss // LOSS_ONE, loss % LOSS_ONE]
    payload += [0] * (-len(payload) % 4)
    return [weight, 1, 0, 0, 0, 0, 0, 0] + payload + [0, 0, 0, 0]


def mean_of(total, parameters, q):
    bound, levels = q['rangeMicro'] / MICRO, 2 ** q['bits'] - 1
    step, offset, scale = (2 * bound) / levels, total[1] * bound, q['weightMax'] / total[0]
    return [(lane * step - offset) * scale for lane in total[8 : 8 + parameters]]


def case(name, clip_norm_micro, rows_max, cohort_max, rate_micro, model, deltas):
    q = quantiser_for(clip_norm_micro, rows_max, cohort_max)
    updates, vectors = [], []
    for place, raw in enumerate(deltas):
        delta = [fround(x) for x in raw]
        clipped = clip(delta, clip_norm_micro / MICRO)
        weight = 1 + (place * 977) % rows_max
        rows = 3 + place
        evaluation = {'rows': rows, 'correct': rows - place % 3, 'lossSumNats': rows * (0.3 + place / 7)}
        rounding = words(len(delta), place * 1_000_003)
        made = vector(clipped, weight, evaluation, q, rounding)
        vectors.append(made)
        updates.append(
            {
                'delta': floats(delta),
                'clipped': floats(clipped),
                'weight': weight,
                'evaluation': evaluation,
                'words': rounding,
                'vector': lanes(made),
            }
        )
    total = [sum(column) % 2**32 for column in zip(*vectors)]
    parameters = len(model)
    mean = mean_of(total, parameters, q)
    start = [fround(x) for x in model]
    after = [fround(w + fround(rate_micro / MICRO * m)) for w, m in zip(start, mean)]
    tail = total[8 + parameters :]
    return {
        'name': name,
        'task': {'clipNormMicro': clip_norm_micro, 'rowsMax': rows_max, 'cohortMax': cohort_max},
        'quantiser': q,
        'updates': updates,
        'sum': lanes(total),
        'reports': total[1],
        'weight': total[0],
        'mean': struct.pack(f'<{parameters}d', *mean).hex(),
        'evaluation': {'rows': tail[0], 'correct': tail[1], 'lossQ16': tail[2] * LOSS_ONE + tail[3]},
        'rateMicro': rate_micro,
        'model': floats(start),
        'next': floats(after),
    }


def wave(count, amplitude, phase):
    """A saw in [-amplitude, amplitude]; no sine, whose last digit depends on the machine."""
    return [amplitude * ((i * 7_919 + phase * 104_729) % 2_001 - 1_000) / 1_000 for i in range(count)]


def cases():
    yield case('five nodes, six parameters', 10_000_000, 4_000, 5, 1_000_000, wave(6, 0.5, 0),
               [wave(6, 0.3 + c, c) for c in range(5)])
    yield case('two nodes, one parameter, a half server rate', 1_000_000, 65_536, 2, 500_000, [0.1],
               [[0.25], [-1.0]])
    yield case('a delta longer than the clip norm', 2_500_000, 500, 100, 1_000_000, wave(9, 1, 2),
               [wave(9, 40, 1), wave(9, 0.01, 3)])
    yield case('the largest cohort: 20 bits', 3_000_000, 65_536, 4_096, 1_000_000, wave(4, 2, 1),
               [wave(4, 1, c) for c in range(3)])
    yield case('an evaluate round', 10_000_000, 4_000, 5, 1_000_000, [], [[], [], []])


if __name__ == '__main__':
    json.dump({'cases': list(cases())}, sys.stdout, indent=1)
    print()
