"""A client of a Consilium coordinator: one file, the standard library alone, Python 3.9 or later.

    python3 consilium.py run task.json --follow --model out.npz

A model is checked before it is written: the signature of the record that names it, its manifest against its CID by SHA-256,
its weights against the CID that the manifest names, leaf by leaf. How it was made `consilium verify` redoes, of the bundle.
"""
import argparse, base64, contextlib, hashlib, hmac, http.client, io, json, math, os, random, re, struct, sys, time, uuid, zlib
import urllib.error, urllib.parse, urllib.request

RETRIES, AWAY_SECONDS_MAX, SILENT_SECONDS_MAX = 3, 300, 60
LAST = ("run.completed", "run.failed", "run.stopped")
BLOCK_BYTES_MAX, WEIGHTS_BYTES_MAX, ANSWER_BYTES_MAX = 1 << 20, 1 << 30, 1 << 26

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
class NoCounterpart(ValueError): """The format has no words for the model."""

class _Stay(urllib.request.HTTPRedirectHandler):
    """The key is for this coordinator alone: nobody is followed elsewhere with it."""

    def redirect_request(self, *_):
        return None

class Consilium:
    """coordinator_key, z6Mk...: models are taken where this key has signed the record that names them, and no other way."""

    def __init__(self, url, key, retries=RETRIES, pause=time.sleep, coordinator_key=None):
        if not all(" " <= letter <= "~" for letter in key):
            raise ValueError("an API key has other characters")  # Whoever refuses to send it would show it.
        self.url, self.key, self.retries, self._pause = url.rstrip("/"), key, retries, pause
        self.coordinator_key, self._open = coordinator_key, urllib.request.build_opener(_Stay).open

    def call(self, path, body=None, method=None, idempotency_key=None):
        """For what has no method here: what the API answers to a path. Under the same key it is done once."""
        method = method or ("GET" if body is None else "POST")
        headers = {"idempotency-key": idempotency_key or uuid.uuid4().hex} if method == "POST" else {}
        return json.loads(self._bytes(path, ANSWER_BYTES_MAX, body, headers, method) or b"null")

    def all(self, path):
        """A list, page after page."""
        after = None
        while True:
            page = self.call(path + ("&" if "?" in path else "?") + "after=" + _part(after) if after else path)
            yield from page["data"]
            after = page["next"]
            if after is None:
                return

    def create(self, order, idempotency_key=None):
        """Launches a run: the same key launches it once, however often it is sent."""
        return self.call("/v1/runs", order, idempotency_key=idempotency_key)

    def dry_run(self, order):
        """What would become of it: who would take it, what it costs, how much moves. Nothing does."""
        return self.call("/v1/runs/dry-run", order)

    def runs(self, label=None, status=None, created_after=None):
        """The newest first; with one label, key:value; of one status or of several, with commas; launched later, RFC 3339."""
        return self.all("/v1/runs" + _query(label=label, status=status, created_after=created_after))

    def counts(self, since=None):
        """How many runs have each status, and how many rounds ended later than since, RFC 3339: 24 hours ago by default."""
        return self.call("/v1/runs/counts" + _query(since=since))

    def relabel(self, run, **change):
        """Its name=, and its labels={}: what is left out stays as it is, what is None is taken off."""
        return self.call(_of(run), change, method="PATCH")

    def run(self, run):
        view = self.call(_of(run))
        if not view["id"].startswith((run, "run_" + run)):
            raise VerificationError("what came is %s, and %s was asked for" % (view["id"], run))
        return view

    def pause(self, run, reason):
        return self.call(_of(run, "/pause"), {"reason": reason})

    def resume(self, run):
        return self.call(_of(run, "/resume"), method="POST")

    def stop(self, run, reason):
        return self.call(_of(run, "/stop"), {"reason": reason})

    def extend(self, run, rounds, budget="0", idempotency_key=None):
        more = {"rounds": rounds, "budget": budget}
        return self.call(_of(run, "/extend"), more, idempotency_key=idempotency_key)

    def rounds(self, run):
        return self.all(_of(run, "/rounds"))

    def metrics(self, run, keys=None):
        """Columns of equal length, by name: pandas.DataFrame(client.metrics(run))."""
        return self.call(_of(run, "/metrics" + ("?keys=" + ",".join(keys) if keys else "")))

    def receipts(self, run, round_number):
        return self.all(_of(run, "/rounds/%d/receipts" % round_number))

    def federations(self):
        return self.all("/v1/federations")

    def amend_federation(self, federation, **change):
        """Its name=, and its description=: what is left out stays as it is."""
        return self.call("/v1/federations/" + _part(federation), change, method="PATCH")

    def rotate_webhook_secret(self, endpoint, overlap_seconds=86400, idempotency_key=None):
        """With "secret", shown this once. For so long messages are signed by the old one as well; 0: not at all."""
        path, body = "/v1/webhook-endpoints/%s/rotate-secret" % _part(endpoint), {"overlapSeconds": overlap_seconds}
        return self.call(path, body, idempotency_key=idempotency_key)

    def card(self, run):
        """Its model card, in Markdown."""
        return self._bytes(_of(run, "/card"), ANSWER_BYTES_MAX).decode("utf-8")

    def verify(self, run):
        """Has the coordinator redo the record: its word, where `consilium verify` on the bundle is yours."""
        made = self.call(_of(run, "/verification"), method="POST")
        while made["verdict"] == "running":
            self._pause(1)
            made = self.call(_of(run, "/verification"))
        return made

    def follow(self, run, after=-1):
        """Every event once and in order, over whatever happens to the connection or to the coordinator, to the run's end.

        A run that is paused has not ended: `is_waiting` tells where to stop.
        """
        failures, away_since = 0, None
        while True:
            try:
                headers = {"accept": "text/event-stream", **({"last-event-id": str(after)} if after >= 0 else {})}
                with self._once(_of(run, "/events"), None, headers, timeout=SILENT_SECONDS_MAX) as stream:
                    away_since = None
                    if stream.status == 204:
                        return  # It has ended, and nothing follows.
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

    def is_waiting(self, run, event):
        """Whether the run is paused since this event and waits for its owner: what follows may tell of one that was resumed."""
        kind = event["type"]
        if kind != "run.paused" and not (kind == "round.completed" and isinstance(event.get("paused"), str)):
            return False
        view = self.run(run)
        return view["status"] == "paused" and event.get("round") in (None, view["over"])

    def model(self, run, round_number=None):
        """(cid, [(name, shape, bytes)]) of a run's model, or of a round's, float32 little-endian; checked as said above."""
        cid, _, tensors = self._model(run, round_number)
        return cid, tensors

    def arrays(self, run, round_number=None):
        """The same by name, as NumPy has arrays, where there is NumPy."""
        import numpy

        return {name: numpy.frombuffer(data, "<f4").reshape(shape) for name, shape, data in self.model(run, round_number)[1]}

    def save_model(self, run, path, round_number=None):
        """As its name ends: .npz, as numpy.load reads it, .safetensors, .tfjs.zip, or .f32, the weights alone. Returns its CID.

        The file is made here, of what was checked, and is to the byte the one that the coordinator would make. NoCounterpart
        where TF.js has no such layer.
        """
        cid, architecture, tensors = self._model(run, round_number)
        if path.endswith(".npz"):
            file = _zip([(_entry(name) + ".npy", _npy(shape) + data) for name, shape, data in tensors])
        elif path.endswith((".safetensors", ".f32")):
            head = _safetensors(tensors, {"model": cid, "architecture": architecture}) if path[-1] == "s" else b""
            file = head + b"".join(data for _, _, data in tensors)
        elif path.endswith(".tfjs.zip"):
            file = _layers_model(cid, self._block(architecture), tensors)
        else:
            raise ValueError("%s ends in none of .npz, .safetensors, .tfjs.zip and .f32" % path)
        with _whole(path) as part:
            part.write(file)
        return cid

    def _model(self, run, round_number):
        view, shown = self.run(run), "?format=raw" + ("" if round_number is None else "&round=%d" % round_number)
        with self._again(lambda: self._once(_of(run, "/model" + shown), None, {})) as answer:
            cid = answer.headers.get("x-consilium-model", "")
        root = view["manifest"] if round_number is None else None
        if round_number:
            root = self.call(_of(run, "/rounds/%d" % round_number))["record"]
        if root:
            named = self._signed(root, "round" if round_number else "run", view["id"], round_number)
            if named != cid:
                raise VerificationError("what comes as the model is %s, and the record names %s" % (cid, named))
        elif self.coordinator_key:
            raise VerificationError("no record that %s has signed names this model, or none yet" % self.coordinator_key)
        manifest = _fields(self._block(cid), architecture=str, weights=str, tensors=list)
        layout = [(tensor["name"], tuple(tensor["shape"])) for tensor in manifest["tensors"] if _is_tensor(tensor)]
        total = sum(4 * math.prod(shape) for _, shape in layout)
        if len(layout) != len(manifest["tensors"]) or total > WEIGHTS_BYTES_MAX:
            raise VerificationError("what came is not the manifest of a model")
        weights = self._bytes("/ipfs/" + manifest["weights"], total)
        if len(weights) != total or file_cid(weights) != manifest["weights"]:
            raise VerificationError("what came is not the file " + manifest["weights"])
        tensors, at = [], 0
        for name, shape in layout:
            size = 4 * math.prod(shape)
            tensors.append((name, shape, weights[at : at + size]))
            at += size
        return cid, manifest["architecture"], tensors

    def _signed(self, root, kind, run, round_number):
        """The model that a record names: two blocks, the seal and the body that it links to."""
        seal = _fields(self._block(root), b=str, f=bytes, s=bytes, t=str)
        body, signer = self._block(seal["b"]), key_text(seal["f"])
        message = b"consilium/1 sig\0" + kind.encode() + b"\0" + hashlib.sha256(body).digest()
        if seal["t"] != kind or not is_signed(seal["f"], seal["s"], message):
            raise VerificationError("the record %s is not signed by whom it says, or is no record of a %s" % (root, kind))
        if self.coordinator_key not in (None, signer):
            raise VerificationError("the record %s is signed by %s, and not by %s" % (root, signer, self.coordinator_key))
        said = _fields(body, run=str, model=str)
        if said["run"] != run or (round_number and said.get("round") != round_number):
            raise VerificationError("%s is not the record of this %s" % (root, kind))
        return said["model"]

    def _block(self, cid):
        block = self._bytes("/ipfs/%s?format=raw" % cid, BLOCK_BYTES_MAX)
        if not re.fullmatch("b[a-z2-7]{58}", cid) or _cid(_bytes_of(cid)[1], block) != cid:
            raise VerificationError("what came is not the block " + cid)
        return block

    def save_bundle(self, run, path):
        """The whole record, for `consilium verify`; no file of that name is made before all of it has come."""
        with self._again(lambda: self._once(_of(run, "/bundle"), None, {})) as answer, _whole(path) as file:
            for piece in self._pieces(answer):
                file.write(piece)

    def _pieces(self, answer):
        try:
            yield from iter(lambda: answer.read(1 << 20), b"")
        except (OSError, http.client.HTTPException) as cause:
            raise Unreachable("%s: %s" % (self.url, cause)) from cause
        if answer.length:
            raise Unreachable("%s: cut off %d bytes before the end" % (self.url, answer.length))

    def _bytes(self, path, limit, body=None, headers=None, method=None):
        def read():
            with self._once(path, body, headers or {}, method) as answer:
                data = answer.read(limit + 1)
                if len(data) > limit:
                    raise VerificationError("what came is longer than %d bytes" % limit)
                if answer.length:
                    raise http.client.IncompleteRead(data, answer.length)
                return data

        return self._again(read)

    def _again(self, ask):
        for attempt in range(self.retries + 1):
            try:
                return ask()
            except (ApiError, OSError, http.client.HTTPException) as cause:
                told = getattr(cause, "retry_after", 0)
                if attempt == self.retries or told > 60 or not getattr(cause, "retryable", True):
                    raise cause if isinstance(cause, ApiError) else Unreachable("%s: %s" % (self.url, cause)) from cause
                self._pause(max(told, min(8, 0.25 * 2**attempt) * (1 + random.random()) / 2))

    def _once(self, path, body, headers, method=None, timeout=30):
        data = None if body is None else json.dumps(body).encode()
        told = {"authorization": "Bearer " + self.key, **headers, **({"content-type": "application/json"} if data else {})}
        try:
            return self._open(urllib.request.Request(self.url + path, data, told, method=method), timeout=timeout)
        except urllib.error.HTTPError as answer:
            with contextlib.suppress(ValueError, OSError):
                problem = json.loads(answer.read(1 << 20))
                after = answer.headers.get("retry-after", "0")
                raise ApiError(answer.code, problem, int(after) if after.isdigit() else 0) from None
            raise ApiError(answer.code, {}) from None

_part = urllib.parse.quote_plus
def _query(**told):
    given = {name: value for name, value in told.items() if value}
    return "?" + urllib.parse.urlencode(given) if given else ""
def _of(run, rest=""):
    return "/v1/runs/" + _part(run) + rest
def _plain(text):
    """Without what a terminal would obey: reasons are other people's."""
    return "".join(letter if letter.isprintable() else " " for letter in str(text))

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

def _fields(block, **kinds):
    """A map with these members; the block was hashed, and is still whatever somebody made."""
    try:
        value = _cbor(io.BytesIO(block))
        if all(type(value[name]) is kind for name, kind in kinds.items()):
            return value
    except (LookupError, TypeError, ValueError, OverflowError, RecursionError):
        pass
    raise VerificationError("what came is not what it was named as")

def _is_tensor(value):
    if type(value) is not dict or type(value.get("name")) is not str or type(value.get("shape")) is not list:
        return False
    return all(type(side) is int and side > 0 for side in value["shape"]) and len(value["shape"]) <= 4

@contextlib.contextmanager
def _whole(path):
    """A file that has its name once all of it is there; where it comes to nothing, nothing is left of it."""
    try:
        with open(path + ".part", "wb") as file:
            yield file
        os.replace(path + ".part", path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.remove(path + ".part")
        raise

def _npy(shape):
    head = ("{'descr': '<f4', 'fortran_order': False, 'shape': %r, }" % (shape,)).encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head

def _safetensors(tensors, metadata):
    told, at = {"__metadata__": metadata}, 0
    for name, shape, data in tensors:
        told[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text

def _zip(entries):
    """Of stored entries, as protocol/formats/zip.ts streams them."""
    body, directory = io.BytesIO(), b""
    for name, data in ((name.encode(), data) for name, data in entries):
        told = struct.pack("<HHHI", 20, 8 if name.isascii() else 0x808, 0, 0x210000)
        sizes, at = struct.pack("<III", zlib.crc32(data), len(data), len(data)), body.tell()
        body.write(b"PK\x03\x04" + told + bytes(12) + struct.pack("<HH", len(name), 0) + name)
        body.write(data)
        body.write(b"PK\x07\x08" + sizes)
        directory += b"PK\x01\x02" + struct.pack("<H", 20) + told + sizes + struct.pack("<H", len(name))
        directory += bytes(12) + struct.pack("<I", at) + name
    count, at = len(entries), body.tell()
    body.write(directory + b"PK\x05\x06" + struct.pack("<IHHIIH", 0, count, count, len(directory), at, 0))
    return body.getvalue()

def _layers_model(cid, block, tensors):
    """A ZIP of what tf.loadLayersModel reads, as protocol/formats/layers-model.ts has it; what it puts out are logits."""
    try:
        architecture = _cbor(io.BytesIO(block))
        topology, layers = _topology(architecture), architecture["layers"]
        deep = {layer["name"] + "/kernel" for layer in layers if layer["layer"] == "depthwiseConv2d"}
        causal = [layer["name"] for layer in layers if layer["layer"] == "conv1d" and layer["padding"] == "causal"]
    except NoCounterpart:
        raise
    except (LookupError, TypeError, ValueError, OverflowError, RecursionError, AttributeError):
        raise VerificationError("what came is not the architecture of a model") from None
    if causal:
        raise NoCounterpart("%s is causal, which Keras has and TF.js has not" % causal[0])
    data, size = b"".join(data for _, _, data in tensors), 1 << 22
    parts = [data[at : at + size] for at in range(0, max(len(data), 1), size)]
    paths = ["group1-shard%dof%d.bin" % (at + 1, len(parts)) for at in range(len(parts))]
    named = ((name[:-6] + "depthwise_kernel" if name in deep else name, shape) for name, shape, _ in tensors)
    weights = [{"name": name, "shape": shape, "dtype": "float32"} for name, shape in named]
    made = {"format": "layers-model", "generatedBy": "consilium", "convertedBy": None, "userDefinedMetadata": {"model": cid}}
    told = {"modelTopology": topology, **made, "weightsManifest": [{"paths": paths, "weights": weights}]}
    return _zip([("model.json", _json(told).encode()), *zip(paths, parts)])

def _topology(architecture):
    """As protocol/topology/export.ts has it, to the order of its members."""
    layers, whole = architecture["layers"], ("input", architecture["input"])
    sources = [layer.get("from") or [layers[at - 1]["name"] if at else whole[0]] for at, layer in enumerate(layers)]
    takers = [layer for layer, taken in zip(layers, sources) if whole[0] in taken]
    inputs, parts = [whole], [layer for layer in takers if layer["layer"] == "part"]
    if parts:
        sizes = [math.prod(part["shape"]) for part in parts]
        ends = [sum(sizes[:at]) for at in range(len(sizes) + 1)]
        if parts != takers or [part["offset"] for part in parts] != ends[:-1] or ends[-1] != math.prod(whole[1]):
            raise NoCounterpart("what is put in is whole, or parts that leave nothing out, in their order")
        inputs = [(part["name"], part["shape"]) for part in parts]
    told, ranks = [], {whole[0]: len(whole[1])}
    for name, shape in inputs:
        config = {"name": name, "batch_input_shape": [None, *shape], "dtype": "float32", "sparse": False}
        told.append({"class_name": "InputLayer", "name": name, "inbound_nodes": [], "config": config})
    for layer, taken in zip(layers, sources):
        name, rank = layer["name"], ranks[taken[0]]
        ranks[name] = _rank(layer, rank)
        if name in [put for put, _ in inputs]:
            continue
        options = _options(layer, rank)
        if options is None:
            raise NoCounterpart("%s (%s) has none in TF.js" % (name, layer["layer"]))
        kind, config = options
        config = {"name": name, "trainable": not layer.get("frozen"), **config}
        told.append({"class_name": kind, "name": name, "config": config, "inbound_nodes": [[[each, 0, 0, {}] for each in taken]]})
    ends = {"input_layers": [[name, 0, 0] for name, _ in inputs], "output_layers": [[layers[-1]["name"], 0, 0]]}
    made = {"class_name": "Model", "keras_version": "tfjs-layers 4.22.0", "backend": "tensor_flow.js"}
    return {**made, "config": {"name": "model", "layers": told, **ends}}

def _rank(layer, rank):
    kind = layer["layer"]
    if kind in ("reshape", "part"):
        return len(layer["shape"])
    if kind in ("lstm", "gru", "simpleRnn"):
        return 2 if layer.get("sequences") else 1
    return 1 if kind in ("flatten", "globalPooling") else rank + 1 if kind == "embedding" else rank

def _options(layer, rank):
    """What Keras calls a layer, and what it is told; None where TF.js has no such one."""
    kind, last = layer["layer"], {"data_format": "channels_last"}
    named = kind[:1].upper() + (kind[1:-1] + "D" if kind[-2:] in ("1d", "2d") else kind[1:])
    if kind in ("dense", "conv1d", "conv2d", "depthwiseConv2d"):
        if layer["activation"] == "leakyRelu" or "adapter" in layer:
            return None
        put = {"units" if kind == "dense" else "filters": layer.get("units", layer.get("filters"))}
        if kind == "depthwiseConv2d":
            put = {"depth_multiplier": layer["multiplier"]}
        if kind == "conv1d":
            put.update(kernel_size=[layer["kernel"]], strides=[layer["stride"]], padding=layer["padding"])
        elif kind != "dense":
            put.update(kernel_size=layer["kernel"], strides=layer["strides"], padding=layer["padding"])
            put.update(last, dilation_rate=[1, 1])
        return named, {**put, "activation": _snake(layer["activation"]), "use_bias": layer.get("bias") is not False}
    if kind in ("maxPooling1d", "averagePooling1d"):
        return named, {"pool_size": [layer["pool"]], "strides": [layer["stride"]], "padding": layer.get("padding", "valid")}
    if kind in ("maxPooling2d", "averagePooling2d"):
        return named, {"pool_size": layer["pool"], "strides": layer["strides"], "padding": layer.get("padding", "valid"), **last}
    if kind == "globalPooling":
        named = "GlobalMaxPooling" if layer["of"] == "max" else "GlobalAveragePooling"
        return (named + "2D", last) if rank == 3 else (named + "1D", {})
    if kind == "zeroPadding2d":
        return named, {"padding": [[layer["top"], layer["bottom"]], [layer["left"], layer["right"]]], **last}
    if kind == "reshape":
        return named, {"target_shape": layer["shape"]}
    if kind == "activation":
        if layer["activation"] != "leakyRelu":
            return named, {"activation": _snake(layer["activation"])}
        return "LeakyReLU", {"alpha": _real(layer.get("slopeMicro", 200_000), 6)}
    if kind == "dropout":
        return named, {"rate": _real(layer["rateMicro"], 6), "noise_shape": None, "seed": None}
    if kind in ("batchNormalization", "layerNormalization"):
        moving = {"momentum": _real(layer["momentumMicro"], 6)} if kind[0] == "b" else {}
        return named, {**moving, "axis": -1, "epsilon": _real(layer["epsilonNano"], 9), "center": True, "scale": True}
    if kind == "embedding":
        sizes = {"input_dim": layer["vocabulary"], "output_dim": layer["units"]}
        return named, {**sizes, "input_length": None, "mask_zero": False}
    if kind in ("lstm", "gru", "simpleRnn"):
        steps, back = bool(layer.get("sequences")), bool(layer.get("backwards"))
        # Keras turns what a layer puts out that goes backwards.
        if (steps and back) or layer.get("resetAfter"):
            return None
        put = {"units": layer["units"], "activation": "tanh", "use_bias": True}
        put["recurrent_initializer"] = {"class_name": "Zeros", "config": {}}
        put.update(return_sequences=steps, go_backwards=back)
        own = {"lstm": {"unit_forget_bias": True}, "gru": {"reset_after": False}}.get(kind)
        gates = {"recurrent_activation": "sigmoid", **own} if own else {}
        return {"lstm": "LSTM", "gru": "GRU", "simpleRnn": "SimpleRNN"}[kind], {**put, **gates}
    if kind == "concatenate":
        return named, {"axis": -1}
    return (named, {}) if kind in ("flatten", "add", "multiply") else None

def _snake(name):
    return re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), name)

class _Number(str): """One, spelt already."""
def _real(count, places):
    """count / 10**places as JavaScript spells it, where Python is sooner with an exponent."""
    if 0 < count * 10**6 < 10**places:
        return _Number(repr(count / 10**places).replace("e-0", "e-"))
    return _Number(("%d.%0*d" % (count // 10**places, places, count % 10**places)).rstrip("0").rstrip("."))

def _json(value):
    if isinstance(value, _Number):
        return value
    if isinstance(value, dict):
        return "{%s}" % ",".join("%s:%s" % (_json(name), _json(each)) for name, each in value.items())
    if isinstance(value, (list, tuple)):
        return "[%s]" % ",".join(map(_json, value))
    return json.dumps(value, ensure_ascii=False)

def _entry(name):
    """No name leads out of the folder that it is unpacked in, and no two become one."""
    plain = re.sub(r'[%\\:*?"<>|\x00-\x1f\x7f-\x9f]', lambda mark: "%%%02X" % ord(mark[0]), name)
    spelt = ("%" + (part.replace(".", "2E") or "00") if part.strip(".") == "" else part for part in plain.split("/"))
    return "/".join(spelt)

def verify_signature(secret, headers, body, now=None, tolerance=300):
    """Whether a webhook is signed with the endpoint's secret, lately; headers by their names in lower case, body as it came."""
    told = [headers.get("webhook-" + name) or "" for name in ("id", "timestamp", "signature")]
    key = base64.b64decode(secret[6:] if secret.startswith("whsec_") else secret)
    if not key or not re.fullmatch("[0-9]{1,12}", told[1]) or abs(int(told[1]) - (time.time() if now is None else now)) > tolerance:
        return False
    due = base64.b64encode(hmac.digest(key, ("%s.%s." % (told[0], told[1])).encode() + body, "sha256")).decode()
    # Several, while the secret is being changed.
    return any(hmac.compare_digest(("v1," + due).encode(), one.encode()) for one in told[2].split(" ")[:16])

_P, _L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
_D, _ROOT = -121665 * pow(121666, -1, _P) % _P, pow(2, (_P - 1) // 4, _P)
def is_signed(key, signature, message):
    """Ed25519 (RFC 8032, 5.1.7, cofactorless): some milliseconds, and nothing secret."""
    if (len(key), len(signature)) != (32, 64):
        return False
    given, scalar = signature[:32], int.from_bytes(signature[32:], "little")
    hashed = int.from_bytes(hashlib.sha512(given + key + message).digest(), "little") % _L
    base, point, holder = _point((4 * pow(5, -1, _P) % _P).to_bytes(32, "little")), _point(given), _point(key)
    if scalar >= _L or point is None or holder is None:
        return False
    left, right = _times(scalar, base), _plus(point, _times(hashed, holder))
    return all((left[axis] * right[2] - right[axis] * left[2]) % _P == 0 for axis in (0, 1))

def _point(data):
    y, sign = int.from_bytes(data, "little") & (1 << 255) - 1, data[31] >> 7
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    x = x if (x * x - square) % _P == 0 else x * _ROOT % _P
    if y >= _P or (x * x - square) % _P or (x == 0 and sign):
        return None
    x = x if x & 1 == sign else _P - x
    return x, y, 1, x * y % _P

def _plus(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0])
    c, d = 2 * p[3] * q[3] * _D, 2 * p[2] * q[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P

def _times(scalar, point):
    total = (0, 1, 1, 0)
    while scalar:
        total, point, scalar = _plus(total, point) if scalar & 1 else total, _plus(point, point), scalar >> 1
    return total

def key_text(key):
    """A key as people read it: z6Mk..., multibase base58."""
    value, text = int.from_bytes(b"\xed\x01" + key, "big"), ""
    while value:
        value, letter = divmod(value, 58)
        text = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"[letter] + text
    return "z" + text

def main(argv=None):
    parser = argparse.ArgumentParser(description="launch a run at a Consilium coordinator")
    for name, told in (("command", {"choices": ["run"]}), ("task", {"help": "a task file, JSON"})):
        parser.add_argument(name, **told)
    parser.add_argument("--coordinator", default=os.environ.get("CONSILIUM_COORDINATOR", "http://127.0.0.1:7410"))
    parser.add_argument("--key", help="file of the API key; else CONSILIUM_API_KEY")
    parser.add_argument("--follow", action="store_true", help="to its end, one line a round")
    parser.add_argument("--model", help="with --follow: where to write the model, out.npz, out.safetensors or out.tfjs.zip")
    parser.add_argument("--coordinator-key", help="z6Mk...: who has to have signed the record that names the model")
    parser.add_argument("--bundle", help="with --follow: where to write the record, run.car, for consilium verify")
    args = parser.parse_args(argv)
    try:
        order = json.loads(open(args.task, encoding="utf-8").read())
        key = open(args.key, encoding="utf-8").read().strip() if args.key else os.environ.get("CONSILIUM_API_KEY", "").strip()
        client = Consilium(args.coordinator, key, coordinator_key=args.coordinator_key)
        run, event = client.create(order)["id"], {}
        print(run, flush=True)
        for event in client.follow(run) if args.follow else ():
            if event["type"] == "round.completed":
                print("round %(round)d  %(reports)d/%(cohort)d reports" % event, flush=True)
            elif event["type"] == "round.aborted":
                print("round %d  aborted: %s" % (event["round"], _plain(event["reason"])), flush=True)
            if client.is_waiting(run, event):
                print("run.paused", _plain(event.get("paused") or event.get("reason")))
                return 13
        if not event:
            return 0
        evaluation = event.get("evaluation")
        print(event["type"], "accuracy %.4f" % evaluation["accuracy"] if evaluation else _plain(event.get("reason")))
        if event["type"] != "run.completed":
            return 7
        if args.model:
            print("model", client.save_model(run, args.model), args.model)
        if args.bundle:
            client.save_bundle(run, args.bundle)
        return 0
    except (ApiError, Unreachable, VerificationError, OSError, ValueError) as cause:
        print("error  %s" % _plain(cause), file=sys.stderr)
        return 10 if isinstance(cause, Unreachable) else 8 if isinstance(cause, VerificationError) else 1

if __name__ == "__main__":
    sys.exit(main())
