"""The statistics of docs/protocol.md, section 16, written from that page alone.

Reads a vector's question and tables from standard input; writes each site's vector, the sum and the answer.
"""

import csv
import hashlib
import io
import json
import math
import struct
import sys
from fractions import Fraction

ROWS = 2**32


def micro(value):
    """Halves go up, as in the page."""
    return math.floor(value * 1e6 + 0.5)


def table_of(text):
    rows = list(csv.reader(io.StringIO(text)))
    return {
        name: [float(row[place]) if row[place] else None for row in rows[1:]] for place, name in enumerate(rows[0])
    }


def sort(item, values):
    if item["kind"] == "categories":
        levels = item["levels"]
        return [levels.index(value) if value in levels else len(levels) for value in values], len(levels) + 1
    edges = item["edgesMicro"]
    places = []
    for value in map(micro, values):
        below = sum(1 for edge in edges if edge <= value)
        places.append(below - 1 if value == edges[-1] else below)
    return places, len(edges) + 1


def suppressed(counts, least):
    hidden, rows = set(), 0
    for count, cell in sorted((count, cell) for cell, count in enumerate(counts) if count > 0):
        if count >= least and (rows == 0 or rows >= least):
            break
        hidden.add(cell)
        rows += count
    return hidden


def steps_of(item):
    return math.ceil(Fraction(item["highMicro"] - item["lowMicro"], item["resolutionMicro"]))


def numbers_of(question, item, table):
    """Pairs of a number and the most it may be."""
    total = len(next(iter(table.values())))
    column = table.get(item["column"], [0.0] * total)
    values = [value for value in column if value is not None]
    missing = total - len(values)
    if item["kind"] == "count":
        return [(total, ROWS), (missing, ROWS)]
    least = question["minCell"]
    sorter = item
    if item["kind"] == "moments":
        sorter = next(
            (other for other in question["items"] if other["kind"] == "histogram" and other["column"] == item["column"]),
            None,
        )
    hidden_rows, kept, cells = 0, values, []
    if sorter:
        places, length = sort(sorter, values)
        counts = [places.count(cell) for cell in range(length)]
        hidden = suppressed(counts, least)
        kept = [value for value, place in zip(values, places) if place not in hidden]
        hidden_rows = len(values) - len(kept)
        cells = [0 if cell in hidden else count for cell, count in enumerate(counts)]
    if item["kind"] != "moments":
        return [(missing, ROWS), (hidden_rows, ROWS)] + [(count, ROWS) for count in cells]
    low, high, resolution = item["lowMicro"], item["highMicro"], item["resolutionMicro"]
    steps = [
        math.floor(Fraction(min(max(micro(value), low), high) - low, resolution) + Fraction(1, 2)) for value in kept
    ]
    beyond = sum(1 for value in kept if not low <= micro(value) <= high)
    few = 0 < beyond < least
    most = steps_of(item)
    return [
        (missing, ROWS),
        (hidden_rows, ROWS),
        (len(kept), ROWS),
        (sum(steps), ROWS * most),
        (sum(step * step for step in steps), ROWS * most * most),
        (0 if few else beyond, ROWS),
        (1 if few else 0, 1),
    ]


def limbs(most, bits):
    return -(-most.bit_length() // bits)


def vector_of(question, table, bits):
    payload = []
    for item in question["items"]:
        for number, most in numbers_of(question, item, table):
            payload += [(number >> (bits * limb)) % 2**bits for limb in range(limbs(most, bits))]
    padded = -(-(len(payload) + 4) // 4) * 4
    return [1, 1, 0, 0, 0, 0, 0, 0] + payload + [0] * (padded - len(payload)) + [0] * 4


def quantile(item, cells, hidden, per_mille):
    edges = item["edgesMicro"]
    known = sum(cells)
    rank = max(1, math.ceil(Fraction(per_mille * (known + hidden), 1000)))

    def cell_at(wanted):
        if wanted < 1:
            return -1
        return next((cell for cell in range(len(cells)) if sum(cells[: cell + 1]) >= wanted), len(cells))

    def edge(place):
        return edges[place] / 1e6 if 0 <= place < len(edges) else None

    low, high = edge(cell_at(rank - hidden) - 1), edge(cell_at(rank))
    inner = Fraction(per_mille * known, 1000)
    cell = cell_at(max(1, math.ceil(inner)))
    start, end = edge(cell - 1), edge(cell)
    estimate = None
    if start is not None and end is not None:
        estimate = start + float(inner - sum(cells[:cell])) / cells[cell] * (end - start)
        estimate = min(max(estimate, start if low is None else low), end if high is None else high)
    return {"perMille": per_mille, "estimate": estimate, "low": low, "high": high}


def answer_of(question, tables):
    parts = []
    for item in question["items"]:
        numbers = [
            sum(number for number, _ in column)
            for column in zip(*(numbers_of(question, item, table) for table in tables))
        ]
        kind, column = item["kind"], item["column"]
        if kind == "count":
            rows, missing = numbers
            parts.append({"kind": kind, "column": column, "rows": rows, "missing": None if column is None else missing})
            continue
        missing, hidden = numbers[:2]
        if kind == "moments":
            n, total, squares, clipped, concealed = numbers[2:]
            low, step = item["lowMicro"], item["resolutionMicro"]
            parts.append(
                {
                    **item,
                    "missing": missing,
                    "suppressed": hidden,
                    "values": n,
                    "clipped": {"atLeast": clipped, "atMost": clipped + concealed * (question["minCell"] - 1)},
                    "sumSteps": str(total),
                    "squaresSteps": str(squares),
                    "mean": float(Fraction(low * n + step * total, n * 10**6)) if n else None,
                    "variance": float(Fraction(step**2 * (n * squares - total**2), n * (n - 1) * 10**12))
                    if n > 1
                    else None,
                }
            )
            continue
        cells = numbers[2:]
        part = {"kind": kind, "column": column, "missing": missing, "suppressed": hidden, "values": sum(cells)}
        if kind == "categories":
            levels = [{"level": level, "rows": rows} for level, rows in zip(item["levels"], cells)]
            parts.append({**part, "levels": levels, "other": cells[-1]})
            continue
        edges = item["edgesMicro"]
        bins = [
            {"lowMicro": low, "highMicro": high, "rows": rows}
            for low, high, rows in zip(edges, edges[1:], cells[1:-1])
        ]
        quantiles = [quantile(item, cells, hidden, per_mille) for per_mille in item["quantilesPerMille"]]
        parts.append({**part, "below": cells[0], "bins": bins, "above": cells[-1], "quantiles": quantiles})
    return {"sites": len(tables), "parts": parts}


def version_of(table):
    names = sorted(table)
    rows = zip(*(table[name] for name in names))
    # A missing value is the quiet NaN 7ff8000000000000; 0.0 stands for both zeros.
    digests = sorted(
        hashlib.sha256(
            b"".join(bytes.fromhex("7ff8000000000000") if v is None else struct.pack(">d", v + 0.0) for v in row)
        ).hexdigest()
        for row in rows
    )
    head = "consilium/1 dataset\0" + json.dumps(names, separators=(",", ":"), ensure_ascii=False)
    return "dataset:" + hashlib.sha256((head + "".join(digests)).encode()).hexdigest()


vector = json.load(sys.stdin)
asked, size = vector["question"], vector["quantiser"]["bits"]
read = [table_of(site["table"]) for site in vector["sites"]]
vectors = [vector_of(asked, table, size) for table in read]
packed = [struct.pack(f"<{len(lanes)}I", *lanes).hex() for lanes in vectors]
added = [sum(column) % 2**32 for column in zip(*vectors)]
json.dump(
    {
        "vectors": packed,
        "versions": [version_of(table) for table in read],
        "sum": struct.pack(f"<{len(added)}I", *added).hex(),
        "answer": answer_of(asked, read),
    },
    sys.stdout,
)
