import { mkdtemp, readFile, rm } from 'node:fs/promises'
import type { Socket as NetSocket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { io, type Socket } from 'socket.io-client'
import { type CoordinatorConfig, type RunningCoordinator, startCoordinator } from '#coordinator/main.ts'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { open, type Signer, signerOf } from '#protocol/envelope.ts'
import type { Bytes, NodeId } from '#protocol/ids.ts'
import { Mailbox } from '#protocol/mailbox.ts'
import { type CoordinatorMessage, readCoordinatorMessage, say } from '#protocol/messages.ts'
import { TOY_TASK } from '#sim/toy.ts'

/** A real coordinator on a free loopback port with an empty state folder, gone with everything it kept. */
export type Live = AsyncDisposable & {
  readonly coordinator: RunningCoordinator
  readonly state: string
  /** The API key. */
  readonly key: string
  /** A request with the API key. */
  api(path: string, init?: RequestInit): Promise<Response>
  /** Under a key of its own unless it is told another. */
  launch(change?: object, headers?: Record<string, string>): Promise<Response>
  /** One counter of /metrics. */
  counted(name: string, reason: string): Promise<number>
}

export async function live(change: Partial<CoordinatorConfig> = {}): Promise<Live> {
  const state = await mkdtemp(join(tmpdir(), 'consilium-'))
  const fatal = (cause: unknown) => {
    throw cause
  }
  const coordinator = await startCoordinator({
    ...{ state, host: '127.0.0.1', port: 0, tls: undefined, admits: 'open', graceMillis: 200 },
    ...{ quotaBytes: 2 ** 28, logLevel: 'silent', version: '0.0.0', fatal },
    ...change,
  })
  const key = await readFile(coordinator.apiKeyFile, 'utf8')
  const api = (path: string, init: RequestInit = {}) =>
    fetch(`${coordinator.url}${path}`, { ...init, headers: { authorization: `Bearer ${key}`, ...init.headers } })
  return {
    ...{ coordinator, state, key, api },
    launch: (body = {}, headers = {}) =>
      api('/v1/runs', {
        method: 'POST',
        body: JSON.stringify(request(body)),
        headers: { 'content-type': 'application/json', 'idempotency-key': crypto.randomUUID(), ...headers },
      }),
    async counted(name, reason) {
      const text = await (await fetch(`${coordinator.url}/metrics`)).text()
      return Number(text.match(new RegExp(`^consilium_${name}_total\\{reason="${reason}"\\} (\\d+)$`, 'm'))?.[1] ?? 0)
    },
    async [Symbol.asyncDispose]() {
      await coordinator[Symbol.asyncDispose]()
      await rm(state, { recursive: true, force: true })
    },
  }
}

export function request(change: object = {}): object {
  const timing = { selectionMillis: 3000, reportingMillis: 20_000, aggregationMillis: 20_000, settlementMillis: 20_000 }
  return {
    task: TOY_TASK,
    rounds: 1,
    budget: '100',
    cohort: { min: 2, max: 3, quorum: 2 },
    timing,
    failuresMax: 1,
    onFailures: 'end',
    ...change,
  }
}

export function signer(name: string): Signer {
  return signerOf(sha256(utf8(name)))
}

/** A node that says exactly what it is told to say, byte for byte. */
export class RawNode implements AsyncDisposable {
  readonly signer: Signer
  readonly #socket: Socket
  readonly #heard = new Mailbox<CoordinatorMessage>()
  readonly #end = new AbortController()
  readonly #to: NodeId
  #seq = 1
  #frames = 0

  constructor(url: string, to: NodeId, name: string) {
    this.signer = signer(name)
    this.#to = to
    this.#socket = io(url, { path: '/v1/node-link', transports: ['websocket'], forceNew: true, reconnection: false })
    this.#socket.on('frame', (frame: ArrayBuffer | Bytes) => {
      this.#frames++
      const signed = open(new Uint8Array(frame), 65_536)
      const message = signed.ok ? readCoordinatorMessage(signed.value) : signed
      if (message.ok) this.#heard.push(message.value)
    })
  }

  /** Answers the challenge, as itself or (in an attack) as told. */
  async link(hello?: (nonce: Bytes) => Bytes): Promise<'linked' | string> {
    const { promise, resolve } = Promise.withResolvers<string>()
    this.#socket.on('linked', () => resolve('linked'))
    this.#socket.on('refused', (reason) => resolve(String(reason)))
    const { nonce } = await this.hear('challenge')
    this.raw(hello ? hello(nonce) : say(this.signer, { kind: 'hello', ...this.said(), nonce, version: 1 }))
    return promise
  }

  said(): { to: NodeId; seq: number } {
    return { to: this.#to, seq: this.#seq++ }
  }

  raw(frame: unknown): void {
    this.#socket.emit('frame', frame)
  }

  /** An event that is no frame. */
  event(name: string, ...values: readonly unknown[]): void {
    this.#socket.emit(name, ...values)
  }

  /** Why it is turned away. */
  refusal(): Promise<string> {
    return new Promise((resolve) => this.#socket.once('refused', resolve))
  }

  /** When no link can be had at all. */
  unreachable(): Promise<void> {
    return new Promise((resolve) => this.#socket.once('connect_error', () => resolve()))
  }

  /** Until the coordinator has closed the link. */
  async lost(): Promise<void> {
    if (this.#socket.connected) await new Promise((resolve) => this.#socket.once('disconnect', resolve))
  }

  /** Until so many frames have come, whatever they say, with the challenge. */
  async hasRead(frames: number): Promise<void> {
    while (this.#frames < frames + 1) await new Promise(setImmediate)
  }

  /** Leaves what the coordinator sends on the wire. */
  stopReading(): void {
    const { transport } = this.#socket.io.engine as unknown as { transport: { ws: { _socket: NetSocket } } }
    transport.ws._socket.pause()
  }

  /** The next message of one of these kinds; others are passed over. */
  async hear<K extends CoordinatorMessage['kind']>(
    ...kinds: readonly K[]
  ): Promise<Extract<CoordinatorMessage, { kind: K }>> {
    for await (const message of this.#heard.items(this.#end.signal))
      if ((kinds as readonly string[]).includes(message.kind))
        return message as Extract<CoordinatorMessage, { kind: K }>
    throw new Error(`the link ended before a ${kinds}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort()
    this.#socket.disconnect()
  }
}
