"""A client of a Consilium coordinator: one file, the standard library alone, Python 3.9 or later.

    python3 consilium.py run task.json --follow --model out.npz

A model is checked before it is written: its manifest against its CID by SHA-256, its weights against the CID that the
manifest names, leaf by leaf. Which model is a run's is the coordinator's word: `consilium verify` on the bundle redoes it.
"""
import argparse, contextlib, hashlib, http.client, io, json, math, os, random, struct, sys, time, uuid, zipfile
import urllib.error, urllib.parse, urllib.request

RETRIES, AWAY_SECONDS_MAX, SILENT_SECONDS_MAX = 3, 300, 60
LAST = ("run.completed", "run.failed", "run.stopped")

class ApiError(Exception):
    """The coordinator refused: `code` says why, and `retryable` whether the same may be granted later."""

    def __init__(self, status, problem, retry_after=0):
        self.status, self.code = status, problem.get("code", "http_%d" % status)
        self.detail = problem.get("detail", "the coordinator answered %d" % status)
        self.retryable = problem.get("retryable", status in (408, 429) or status >= 500)
        self.request_id, self.errors = problem.get("request_id"), problem.get("errors", [])
        self.retry_after = retry_after
        super().__init__("%s: %s" % (self.code, self.detail))

class Unreachable(Exception): """Nobody answered, or not to the end."""
class VerificationError(Exception): """What came is not what its CID says: it is not to be used."""

class _Stay(urllib.request.HTTPRedirectHandler):
    """The key is for this coordinator alone: nobody is followed elsewhere with it."""

    def redirect_request(self, *_):
        return None

class Consilium:
    def __init__(self, url, key, retries=RETRIES, pause=time.sleep):
        self.url, self.key, self.retries, self._pause = url.rstrip("/"), key, retries, pause
        self._open = urllib.request.build_opener(_Stay).open

    def create(self, order, idempotency_key=None):
        """Launches a run: the same key launches it once, however often it is sent."""
        return self._json("/v1/runs", order, {"idempotency-key": idempotency_key or uuid.uuid4().hex})

    def run(self, run):
        return self._json("/v1/runs/" + _part(run))

    def metrics(self, run, keys=None):
        """Columns of equal length, by name: pandas.DataFrame(client.metrics(run))."""
        return self._json("/v1/runs/%s/metrics%s" % (_part(run), "?keys=" + ",".join(keys) if keys else ""))

    def receipts(self, run, round_number):
        return self._all("/v1/runs/%s/rounds/%d/receipts" % (_part(run), round_number))

    def follow(self, run, after=-1):
        """Every event once and in order, over whatever happens to the connection or to the coordinator, to the run's end."""
        failures, away_since = 0, None
        while True:
            try:
                headers = {"accept": "text/event-stream", **({"last-event-id": str(after)} if after >= 0 else {})}
                with self._once("/v1/runs/%s/events" % _part(run), None, headers, SILENT_SECONDS_MAX) as stream:
                    away_since = None
                    for event in _events(stream):
                        if event["seq"] <= after:
                            continue
                        if event["seq"] > after + 1:
                            raise Unreachable("event %d is missing" % (after + 1))
                        after, failures = event["seq"], 0
                        yield event
                        if event["type"] in LAST:
                            return
            except (ApiError, OSError, http.client.HTTPException, Unreachable) as cause:
                if isinstance(cause, ApiError) and not cause.retryable:
                    raise
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > AWAY_SECONDS_MAX:
                    raise
            self._pause(min(5, 0.2 * 2 ** min(failures, 5)))
            failures += 1

    def model(self, run):
        """(cid, [(name, shape, bytes)]) of the run's model, float32 little-endian; checked against its CID."""
        cid = self.run(run)["model"]
        block = self._bytes("/ipfs/%s?format=raw" % cid)
        if _cid(_bytes_of(cid)[1], block) != cid:
            raise VerificationError("what came is not the block " + cid)
        manifest = _cbor(io.BytesIO(block))
        weights = self._bytes("/ipfs/" + manifest["weights"])
        if file_cid(weights) != manifest["weights"]:
            raise VerificationError("what came is not the file " + manifest["weights"])
        tensors, at = [], 0
        for tensor in manifest["tensors"]:
            size = 4 * math.prod(tensor["shape"])
            tensors.append((tensor["name"], tuple(tensor["shape"]), weights[at : at + size]))
            at += size
        if at != len(weights):
            raise VerificationError("the weights are more or less than the tensors have")
        return cid, tensors

    def save_model(self, run, path):
        """As numpy.load reads it, by the tensors' names; numpy is not needed to write it. Returns the model's CID."""
        cid, tensors = self.model(run)
        with zipfile.ZipFile(path, "w") as archive:
            for name, shape, values in tensors:
                head = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode()
                head += b" " * (-(len(head) + 11) % 64) + b"\n"
                archive.writestr(name + ".npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + values)
        return cid

    def save_bundle(self, run, path):
        """The whole record, for `consilium verify`."""
        with self._once("/v1/runs/%s/bundle" % _part(run), None, {}) as answer, open(path, "wb") as file:
            for piece in iter(lambda: answer.read(1 << 20), b""):
                file.write(piece)

    def _all(self, path):
        after = None
        while True:
            page = self._json(path + ("?after=" + urllib.parse.quote(after) if after else ""))
            yield from page["data"]
            after = page["next"]
            if after is None:
                return

    def _json(self, path, body=None, headers=None):
        return json.loads(self._bytes(path, body, headers))

    def _bytes(self, path, body=None, headers=None):
        for attempt in range(self.retries + 1):
            try:
                return self._once(path, body, headers or {}).read()
            except (ApiError, OSError, http.client.HTTPException) as cause:
                told = getattr(cause, "retry_after", 0)
                if attempt == self.retries or told > 60 or not getattr(cause, "retryable", True):
                    raise cause if isinstance(cause, ApiError) else Unreachable("%s: %s" % (self.url, cause)) from cause
                self._pause(max(told, min(8, 0.25 * 2**attempt) * (1 + random.random()) / 2))

    def _once(self, path, body, headers, timeout=30):
        data = None if body is None else json.dumps(body).encode()
        told = {"authorization": "Bearer " + self.key, **headers, **({"content-type": "application/json"} if data else {})}
        try:
            return self._open(urllib.request.Request(self.url + path, data, told), timeout=timeout)
        except urllib.error.HTTPError as answer:
            with contextlib.suppress(ValueError, OSError):
                problem = json.loads(answer.read(1 << 20))
                after = answer.headers.get("retry-after", "0")
                raise ApiError(answer.code, problem, int(after) if after.isdigit() else 0) from None
            raise ApiError(answer.code, {}) from None

_part = urllib.parse.quote_plus
def _events(stream):
    data = []
    for line in stream:
        line = line.decode("utf-8").rstrip("\r\n")
        if line.startswith("data:"):
            data.append(line[5:].lstrip(" "))
        elif line == "" and data:
            yield json.loads("\n".join(data))
            data = []

_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
_RAW, _DAG_PB, _LEAF, _WIDTH = 0x55, 0x70, 1 << 20, 1024
def _cid(codec, block):
    """CIDv1 over SHA-256, in base32."""
    return _text_of(bytes([1, codec, 0x12, 32]) + hashlib.sha256(block).digest())

def _text_of(data):
    bits = "".join("{:08b}".format(byte) for byte in data) + "0" * (-len(data) * 8 % 5)
    return "b" + "".join(_LETTERS[int(bits[at : at + 5], 2)] for at in range(0, len(bits), 5))

def _bytes_of(cid):
    bits = "".join("{:05b}".format(_LETTERS.index(letter)) for letter in cid[1:])
    return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits) // 8 * 8, 8))

def file_cid(data):
    """Of a file by the UnixFS profile unixfs-v1-2025: raw leaves of 1 MiB, 1,024 to a node."""
    leaves = [data[at : at + _LEAF] for at in range(0, max(len(data), 1), _LEAF)]
    level = [(_cid(_RAW, leaf), len(leaf), len(leaf)) for leaf in leaves]
    while len(level) > 1:
        level = [_node(level[at : at + _WIDTH]) for at in range(0, len(level), _WIDTH)]
    return level[0][0]

def _node(parts):
    size = sum(part[1] for part in parts)
    sizes = b"\x08\x02\x18" + _varint(size) + b"".join(b"\x20" + _varint(part[1]) for part in parts)
    block = b""
    for cid, _, weight in parts:
        name = _bytes_of(cid)
        link = b"\x0a" + _varint(len(name)) + name + b"\x12\x00\x18" + _varint(weight)
        block += b"\x12" + _varint(len(link)) + link
    block += b"\x0a" + _varint(len(sizes)) + sizes
    return _cid(_DAG_PB, block), size, len(block) + sum(part[2] for part in parts)

def _varint(value):
    data = b""
    while value > 127:
        data, value = data + bytes([value & 127 | 128]), value >> 7
    return data + bytes([value])

def _cbor(stream):
    """What manifests are made of; the block's hash has been checked before."""
    major, low = divmod(stream.read(1)[0], 32)
    if major == 7:
        return {20: False, 21: True, 22: None}[low]
    size = low if low < 24 else int.from_bytes(stream.read(1 << (low - 24)), "big")
    if major < 2:
        return -1 - size if major else size
    if major < 4:
        return stream.read(size) if major == 2 else stream.read(size).decode("utf-8")
    if major == 4:
        return [_cbor(stream) for _ in range(size)]
    if major == 5:
        return {_cbor(stream): _cbor(stream) for _ in range(size)}
    return _text_of(_cbor(stream)[1:])

def main(argv=None):
    parser = argparse.ArgumentParser(description="launch a run at a Consilium coordinator")
    for name, told in (("command", {"choices": ["run"]}), ("task", {"help": "a task file, JSON"})):
        parser.add_argument(name, **told)
    parser.add_argument("--coordinator", default=os.environ.get("CONSILIUM_COORDINATOR", "http://127.0.0.1:7410"))
    parser.add_argument("--key", help="file of the API key; else CONSILIUM_API_KEY")
    parser.add_argument("--follow", action="store_true", help="to its end, one line a round")
    parser.add_argument("--model", help="with --follow: where to write the model, out.npz")
    parser.add_argument("--bundle", help="with --follow: where to write the record, run.car, for consilium verify")
    args = parser.parse_args(argv)
    try:
        order = json.loads(open(args.task, encoding="utf-8").read())
        key = open(args.key, encoding="utf-8").read().strip() if args.key else os.environ.get("CONSILIUM_API_KEY", "")
        client = Consilium(args.coordinator, key)
        run, event = client.create(order)["id"], {}
        print(run, flush=True)
        for event in client.follow(run) if args.follow else ():
            if event["type"] == "round.completed":
                print("round %(round)d  %(reports)d/%(cohort)d reports" % event, flush=True)
        if not event:
            return 0
        evaluation = event.get("evaluation")
        print(event["type"], "accuracy %.4f" % evaluation["accuracy"] if evaluation else event.get("reason"))
        if event["type"] != "run.completed":
            return 7
        if args.model:
            print("model", client.save_model(run, args.model), args.model)
        if args.bundle:
            client.save_bundle(run, args.bundle)
        return 0
    except (ApiError, Unreachable, VerificationError, OSError, ValueError) as cause:
        print("error  %s" % cause, file=sys.stderr)
        return 10 if isinstance(cause, Unreachable) else 8 if isinstance(cause, VerificationError) else 1

if __name__ == "__main__":
    sys.exit(main())
