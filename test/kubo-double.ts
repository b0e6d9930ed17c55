import type { IncomingMessage, ServerResponse } from 'node:http'
import * as dagPb from '@ipld/dag-pb'
import { base58btc } from 'multiformats/bases/base58'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { randomBytes, sha256 } from '#crypto'
import { concat, toHex } from '#protocol/bytes.ts'
import { DAG_CBOR, DAG_PB, RAW } from '#protocol/cid.ts'
import { linksOf } from '#protocol/codec.ts'
import type { Bytes } from '#protocol/ids.ts'
import { settingsOf } from '#storage/blobs/kubo-profile.ts'
import { loopback } from './loopback.ts'

/** What goes wrong with one request: said by its path, e.g. `block/put`. */
export type Fault =
  | 'silent'
  | 'cut'
  | 'garbage'
  | 'endless'
  | 'redirect'
  | 'packed'
  | { readonly says: string }
  | { readonly bytes: Bytes }

/** A Kubo daemon as its RPC shows it: blocks by hash, pins, a collector. What it has not it would look for for ever. */
export type KuboDouble = AsyncDisposable & {
  readonly url: string
  /** By the hash in hex, as Kubo keeps them: no codec. */
  readonly blocks: Map<string, Bytes>
  /** CID → recursive or direct. */
  readonly pins: Map<string, 'recursive' | 'direct'>
  /** All calls, `path?query`, in their order. */
  readonly calls: string[]
  /** What it answers to `config/show`, `swarm/peers` and `id`. */
  config: object
  peers: readonly object[]
  addresses: readonly string[]
  /** The header that it wants to see. */
  authorization: string | undefined
  /** Bytes that its disk takes. */
  roomBytes: number
  /** Asked before each call is answered. */
  fault: (path: string, query: URLSearchParams) => Fault | undefined
  collect(): void
}

export async function startKuboDouble(): Promise<KuboDouble> {
  // A public key in an identity hash, as Ed25519 peers are named.
  const peerId = base58btc.encode(concat(Uint8Array.of(0, 36, 8, 1, 18, 32), randomBytes(32))).slice(1)
  const server = await loopback((request, response) => {
    answer(request, response).catch((cause: unknown) => {
      if (!response.headersSent) refuse(response, cause instanceof Error ? cause.message : String(cause))
      else response.destroy()
    })
  })
  const double: KuboDouble = {
    url: server.url,
    blocks: new Map(),
    pins: new Map(),
    calls: [],
    config: privateConfig(),
    peers: [],
    addresses: [],
    authorization: undefined,
    roomBytes: Number.POSITIVE_INFINITY,
    fault: () => undefined,
    collect: () => {
      const kept = new Set([...marked()].map(keyOf))
      for (const key of double.blocks.keys()) if (!kept.has(key)) double.blocks.delete(key)
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
  // biome-ignore format: a table
  const CALLS: Readonly<Record<string, (query: URLSearchParams, body: Bytes) => Bytes | readonly object[]>> = {
    'block/put': put,
    'block/get': local,
    'block/stat': (query) => [{ Key: query.get('arg'), Size: local(query).length }],
    'block/rm': remove,
    'pin/ls': list,
    'pin/rm': (query) => double.pins.delete(query.get('arg') ?? '') ? [{ Pins: [query.get('arg')] }] : fail('not pinned or pinned indirectly'),
    'repo/stat': () => [{ RepoSize: [...double.blocks.values()].reduce((sum, block) => sum + block.length, 0), StorageMax: 10 ** 10, NumObjects: 0 }],
    'config/show': () => [double.config],
    'swarm/peers': () => [{ Peers: double.peers }],
    'id': () => [{ ID: peerId, PublicKey: '', Addresses: double.addresses, AgentVersion: 'kubo/0.43.0', Protocols: [] }],
    'version': () => [{ Version: '0.43.0', Commit: '', Repo: '18', System: 'amd64/linux', Golang: 'go1.26.8' }],
  }
  return double

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', server.url)
    const [path, query] = [url.pathname.slice('/api/v0/'.length), url.searchParams]
    const body = await bodyOf(request)
    if (request.method !== 'POST') return void response.writeHead(405).end()
    if (double.authorization !== undefined && request.headers.authorization !== double.authorization)
      return void response.writeHead(403, { 'Content-Type': 'text/plain' }).end('403 - Forbidden')
    double.calls.push(`${path}${url.search}`)
    const fault = double.fault(path, query)
    if (fault !== undefined) return spoil(response, fault)
    const call = CALLS[path]
    if (!call) return void response.writeHead(404, { 'Content-Type': 'text/plain' }).end('404 page not found')
    const said = call(query, body)
    if (ArrayBuffer.isView(said)) return void response.writeHead(200, { 'Content-Type': 'text/plain' }).end(said)
    response.writeHead(200, { 'Content-Type': 'application/json' })
    response.end(said.map((line) => `${JSON.stringify(line)}\n`).join(''))
  }

  function put(query: URLSearchParams, body: Bytes): readonly object[] {
    const bytes = partIn(body)
    if (bytes.length > 2 ** 21) throw new Error('produced block is over 2MiB: big blocks can’t be exchanged')
    const codec = CODECS[query.get('cid-codec') ?? 'raw'] ?? fail('unrecognized codec')
    const identity = query.get('mhtype') === 'identity'
    if (identity && bytes.length > 128) throw new Error('digest too large: identity digest got 129 bytes, maximum 128')
    const cid = CID.createV1(codec, identity ? Digest.create(0, bytes) : Digest.create(0x12, sha256(bytes)))
    const used = [...double.blocks.values()].reduce((sum, block) => sum + block.length, 0)
    if (!identity && used + bytes.length > double.roomBytes)
      throw new Error('write /blocks/X/put-1: no space left on device')
    if (!identity) double.blocks.set(keyOf(cid), bytes)
    if (query.get('pin') === 'true') double.pins.set(String(cid), 'recursive')
    return [{ Key: String(cid), Size: bytes.length }]
  }

  function remove(query: URLSearchParams): readonly object[] {
    return query.getAll('arg').map((text) => {
      const through = typeOf(text, 'all')
      if (through !== undefined) return { Hash: text, Error: `pinned via ${through}` }
      double.blocks.delete(keyOf(CID.parse(text)))
      return { Hash: text }
    })
  }

  function list(query: URLSearchParams): readonly object[] {
    const type = query.get('type') ?? 'all'
    const asked = query.getAll('arg')
    if (asked.length === 0)
      return [...double.pins].filter(([, kind]) => kind === type).map(([Cid, Type]) => ({ Cid, Type }))
    return asked.map((text) => ({ Cid: text, Type: typeOf(text, type) ?? fail(`path '${text}' is not pinned`) }))
  }

  function typeOf(text: string, asked: string): string | undefined {
    const own = double.pins.get(text)
    if (own !== undefined && (asked === 'all' || asked === own)) return own
    if (asked !== 'all' && asked !== 'indirect') return undefined
    for (const [pin, kind] of double.pins)
      if (kind === 'recursive' && [...under(CID.parse(pin))].some((cid) => String(cid) === text && text !== pin))
        return `indirect through ${pin}`
    return undefined
  }

  /** What the collector keeps. An inner node that is missing makes it give up, as Kubo's does. */
  function* marked(): Iterable<CID> {
    for (const [pin, kind] of double.pins) if (kind === 'recursive') yield* under(CID.parse(pin))
    for (const [pin, kind] of double.pins) if (kind === 'direct') yield CID.parse(pin)
  }

  function* under(root: CID): Iterable<CID> {
    const ahead = [root]
    for (let cid = ahead.pop(); cid !== undefined; cid = ahead.pop()) {
      yield cid
      if (cid.code !== RAW) ahead.push(...linksIn(cid, blockOf(cid)))
    }
  }

  function blockOf(cid: CID): Bytes {
    if (cid.multihash.code === 0) return cid.multihash.digest
    return double.blocks.get(keyOf(cid)) ?? fail(`block was not found locally (offline): ipld: could not find ${cid}`)
  }

  /** Kubo would ask its network, and wait. */
  function local(query: URLSearchParams): Bytes {
    if (query.get('offline') !== 'true') throw new Error('looked on the network')
    return blockOf(CID.parse(query.get('arg') ?? ''))
  }
}

/** Of a daemon of which nothing is left to wish for. */
export function privateConfig(): Record<string, unknown> {
  const config: Record<string, unknown> = {
    Addresses: { API: '/ip4/127.0.0.1/tcp/5001', Swarm: ['/ip4/127.0.0.1/tcp/4001'] },
    Datastore: { Spec: { type: 'mount', mounts: [{ type: 'flatfs', sync: true }, { type: 'levelds' }] } },
  }
  for (const { path, value } of settingsOf('private')) setIn(config, path, value)
  return config
}

/** Changes what a configuration says at a path. */
export function setIn(config: Record<string, unknown>, path: string, value: unknown): void {
  const [name = '', ...rest] = path.split('.')
  if (rest.length === 0) config[name] = value
  else {
    config[name] ??= {}
    setIn(config[name] as Record<string, unknown>, rest.join('.'), value)
  }
}

const CODECS: Readonly<Record<string, number>> = { raw: RAW, 'dag-pb': DAG_PB, 'dag-cbor': DAG_CBOR }

const keyOf = (cid: CID) => toHex(cid.multihash.digest)

function linksIn(cid: CID, bytes: Bytes): readonly CID[] {
  if (cid.code === DAG_PB) return dagPb.decode(bytes).Links.map(({ Hash }) => Hash)
  return linksOf(bytes).map((link) => CID.parse(link))
}

function fail(words: string): never {
  throw new Error(words)
}

function refuse(response: ServerResponse, words: string): void {
  response.writeHead(500, { 'Content-Type': 'application/json' })
  response.end(JSON.stringify({ Message: words, Code: 0, Type: 'error' }))
}

function spoil(response: ServerResponse, fault: Fault): void {
  if (fault === 'silent') return
  if (fault === 'cut') return void response.destroy()
  if (fault === 'garbage') return void response.writeHead(200, { 'Content-Type': 'application/json' }).end('}{')
  if (fault === 'redirect') return void response.writeHead(307, { Location: '/elsewhere' }).end()
  if (fault === 'packed') return void response.writeHead(200, { 'Content-Encoding': 'gzip' }).end('not gzip at all')
  if (typeof fault === 'object')
    return 'says' in fault ? refuse(response, fault.says) : void response.writeHead(200).end(fault.bytes)
  const piece = Buffer.alloc(65_536, '[')
  response.writeHead(200, { 'Content-Type': 'application/json' })
  const more = () => {
    while (!response.destroyed && response.write(piece));
  }
  response.on('drain', more)
  more()
}

async function bodyOf(request: IncomingMessage): Promise<Bytes> {
  const pieces: Bytes[] = []
  for await (const piece of request) pieces.push(piece as Bytes)
  return Buffer.concat(pieces)
}

/** The one part of a multipart body. */
function partIn(body: Bytes): Bytes {
  const text = Buffer.from(body)
  const boundary = text.subarray(0, text.indexOf('\r\n'))
  const start = text.indexOf('\r\n\r\n') + 4
  return Uint8Array.from(text.subarray(start, text.lastIndexOf(`\r\n${boundary}`)))
}
