import { createKuboRPCClient } from 'kubo-rpc-client'
import { CID } from 'multiformats/cid'
import { codecOf, DAG_CBOR, DAG_PB, textOf } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import type { Bytes, Cid, Millis } from '#protocol/ids.ts'
import { BlobCorrupt, type Clock, StorageFull } from '#protocol/ports.ts'
import { systemClock } from '../clock.ts'
import { AnswerTooLong, withinBounds } from './answer-bounds.ts'
import type { KuboState } from './kubo-profile.ts'

/**
 * What we ask of a Kubo daemon, by kubo-rpc-client, the maintained successor of ipfs-http-client. Each call has a time and
 * its answer a bound. No call lets the daemon look on its network for a block that it does not have.
 */
export function openKuboRpc({ url, authorization, attemptMillis = 60_000, clock = systemClock }: KuboRpcOptions) {
  const kubo = createKuboRPCClient({
    url: rpcUrl(url),
    headers: { 'Accept-Encoding': 'identity', ...(authorization !== undefined && { Authorization: authorization }) },
  })

  /** One call. Throws {@link StorageFull} or {@link KuboFault}; what `unless` knows of the daemon's own words is an answer. */
  async function call<T>(
    act: (signal: AbortSignal) => Promise<T>,
    { limitBytes = ANSWER_BYTES_MAX, lineBytesMax = limitBytes, signal, unless }: CallOptions<T> = {},
  ): Promise<T> {
    signal?.throwIfAborted()
    const late = new AbortController()
    const done = new AbortController()
    clock.wakeAt(clock.now() + attemptMillis, done.signal).then(
      () => late.abort(new KuboFault(`no answer within ${attemptMillis} ms`)),
      () => undefined,
    )
    const either = signal ? AbortSignal.any([signal, late.signal]) : late.signal
    try {
      return await withinBounds({ limitBytes, lineBytesMax, signal: either }, act)
    } catch (cause) {
      signal?.throwIfAborted()
      if (cause instanceof KuboFault || cause instanceof AnswerTooLong || cause instanceof BlobCorrupt) throw cause
      const words = cause instanceof Error ? cause.message.slice(0, WORDS_CHARS_MAX) : 'no reason given'
      const answer = unless?.(words)
      if (answer) return answer.is
      if (FULL.test(words)) throw new StorageFull(`the daemon's disk: ${words}`)
      throw new KuboFault(`the Kubo daemon: ${words}`, { cause })
    } finally {
      done.abort()
    }
  }

  return {
    /** Keeps the block. It is on the disk when this answers, if the daemon syncs. */
    async putBlock({ cid, bytes }: Block, signal?: AbortSignal): Promise<void> {
      const options = { mhtype: 'sha2-256', ...query({ 'cid-codec': CODEC_NAMES[codecOf(cid)] }) }
      const made = await call((stop) => kubo.block.put(bytes, { ...options, signal: stop }), { signal })
      if (textOf(made) !== cid) throw new KuboFault(`the daemon kept ${cid} as ${made}`)
    },
    /** Pins a node that lies in its CID, with all that it links to, whether or not that is there. */
    async pin(node: Bytes): Promise<void> {
      const options = { mhtype: 'identity', pin: true, ...query({ 'cid-codec': 'dag-cbor' }) }
      await call((signal) => kubo.block.put(node, { ...options, signal }))
    },
    /** Missing is no error. */
    async unpin(cid: CID): Promise<void> {
      await call<unknown>((signal) => kubo.pin.rm(cid, { signal }), {
        unless: (words) => (NOT_PINNED.test(words) ? { is: undefined } : undefined),
      })
    },
    /** What keeps it: itself (`recursive`, `direct`) or the first pin that reaches it. The latter walks all pins. */
    async pinOf(cid: CID | Cid, type: 'recursive' | 'all'): Promise<string | undefined> {
      return call(
        async (signal) => {
          for await (const pin of kubo.pin.ls({ paths: String(cid), type, signal })) return pin.type
          return undefined
        },
        { unless: (words) => (NOT_PINNED.test(words) ? { is: undefined } : undefined) },
      )
    },
    /** All that is pinned with what it links to, whoever did it. */
    async pins(): Promise<readonly CID[]> {
      return call(
        async (signal) => {
          const found: CID[] = []
          for await (const pin of kubo.pin.ls({ type: 'recursive', signal })) found.push(pin.cid)
          return found
        },
        { limitBytes: PINS_BYTES_MAX, lineBytesMax: ANSWER_BYTES_MAX },
      )
    },
    /** Unchecked; undefined when it is not here. Of a longer one no more is read than tells so. */
    async block(cid: Cid, limitBytes: number, signal?: AbortSignal): Promise<Bytes | undefined> {
      try {
        return await call((signal) => kubo.block.get(CID.parse(cid), { ...OFFLINE, signal }), {
          limitBytes: Math.max(limitBytes, WORDS_CHARS_MAX),
          signal,
          unless: (words) => (NOT_HERE.test(words) ? { is: undefined } : undefined),
        })
      } catch (cause) {
        if (cause instanceof AnswerTooLong) return new Uint8Array(limitBytes + 1)
        throw cause
      }
    },
    /** Undefined when it is not here. */
    async sizeOf(cid: Cid): Promise<number | undefined> {
      return call(async (signal) => (await kubo.block.stat(CID.parse(cid), { ...OFFLINE, signal })).size, {
        unless: (words) => (NOT_HERE.test(words) ? { is: undefined } : undefined),
      })
    },
    /** Removes the block unless any pin needs it under this name. @returns whether it is gone */
    async removeBlock(cid: Cid): Promise<boolean> {
      return call(async (signal) => {
        let gone = false
        for await (const { error } of kubo.block.rm(CID.parse(cid), { force: true, ...OFFLINE, signal })) {
          if (error && !STILL_PINNED.test(error.message)) throw error
          gone = !error
        }
        return gone
      })
    },
    /** What the daemon says of itself, and its id. */
    async state(): Promise<KuboState & { readonly id: string }> {
      const [config, self, peers] = await Promise.all([
        call((signal) => kubo.config.getAll({ signal }), { limitBytes: STATE_BYTES_MAX }),
        call((signal) => kubo.id({ signal }), { limitBytes: STATE_BYTES_MAX }),
        call((signal) => kubo.swarm.peers({ signal }), { limitBytes: STATE_BYTES_MAX }),
      ])
      return {
        ...{ config, id: self.id.toString(), addresses: self.addresses.map(String) },
        peers: peers.map(({ peer }) => peer.toString()),
      }
    },
    async usedBytes(): Promise<number> {
      const options = query({ 'size-only': 'true' })
      return call(async (signal) => Number((await kubo.repo.stat({ ...options, signal })).repoSize))
    },
  }
}

export type KuboRpc = ReturnType<typeof openKuboRpc>

export type KuboRpcOptions = {
  /** Where the daemon's RPC listens: on loopback, or under TLS. */
  readonly url: string
  /** The whole header, as Kubo's `API.Authorizations` wants it. */
  readonly authorization?: string | undefined
  /** For one answer. */
  readonly attemptMillis?: Millis
  readonly clock?: Clock
}

/** The daemon did not do it, or there is none: a fault of the world, the caller may try later. */
export class KuboFault extends Error {
  override name = 'KuboFault'
}

type CallOptions<T> = {
  readonly limitBytes?: number
  readonly lineBytesMax?: number
  readonly signal?: AbortSignal | undefined
  readonly unless?: (words: string) => { readonly is: T } | undefined
}

const ANSWER_BYTES_MAX = 65_536
const STATE_BYTES_MAX = 2 ** 22
/** Some 400,000 pins. */
const PINS_BYTES_MAX = 2 ** 26
const WORDS_CHARS_MAX = 2000
const CODEC_NAMES = { 85: 'raw', [DAG_PB]: 'dag-pb', [DAG_CBOR]: 'dag-cbor' } as const

/** The client's types ask for an object whose fields it then does not see. */
function query(fields: Readonly<Record<string, string>>): { readonly searchParams: URLSearchParams } {
  return { searchParams: fields as unknown as URLSearchParams }
}
const OFFLINE = query({ offline: 'true' })

/** Kubo says what happened in words, and in nothing else. */
const NOT_HERE = /could not find|not found/
const NOT_PINNED = /not pinned/
const STILL_PINNED = /^pinned/
const FULL = /no space left on device|disk quota exceeded/

/** Who may call a daemon's RPC has its keys and files: it is not sent over a network that others read. */
function rpcUrl(text: string): URL {
  const url = new URL(text)
  if (url.username !== '' || url.password !== '')
    throw new Error(
      'the RPC URL holds a password, which everybody on this machine can read: see CONSILIUM_KUBO_AUTHORIZATION',
    )
  const local = ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname)
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && local))
    throw new Error(`refusing to call a Kubo daemon at ${url.origin}: its RPC is reached on loopback or by https`)
  return new URL(url.origin)
}
