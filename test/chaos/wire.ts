import { createServer, type Server, type Socket, connect as tcpConnect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { unitStream } from '#aggregation/rng.ts'
import { seed as seedOf } from '#test/aggregation/given.ts'

/** What a wire does to what passes. Means are of exponential distributions; left out, it never happens. */
export type Weather = {
  /** Bytes that a connection carries, both ways together, until it is reset. */
  readonly meanBytesToReset?: number
  readonly meanMillisToReset?: number
  /** Each way, for all connections together. */
  readonly bytesPerSecond?: number
  /** One way. */
  readonly delayMillis?: number
}

/** `up` is from whoever connects. */
export type Way = 'up' | 'down'

/** What passes at once, so that a bucket of tokens is taken from in turn and a reset comes in the middle of a message. */
const PIECE_BYTES = 8192
/** What a slow wire may hold; past it the sender is made to wait, as by a full window. */
const UNDERWAY_BYTES_MAX = 262_144

/**
 * A TCP proxy on loopback that loses connections, is slow, stalls and is cut off: by chance, all of it drawn from one seed,
 * or on command. Bytes that it passes are the bytes that came, in their order: TCP's own promise holds on any wire.
 */
export class Wire implements AsyncDisposable {
  readonly port: number
  /** `up` and `down` are bytes that passed, `held` those that came to a stalled wire. */
  readonly seen = { connections: 0, refused: 0, resets: 0, up: 0, down: 0, held: 0 }
  readonly #server: Server
  readonly #to: number
  readonly #weather: Weather
  readonly #unit: () => number
  readonly #lines = new Set<Line>()
  readonly #buckets: Readonly<Record<Way, Bucket>>
  readonly #gates: Record<Way, PromiseWithResolvers<void> | undefined> = { up: undefined, down: undefined }
  #cut = false

  private constructor(server: Server, to: number, seed: number, weather: Weather) {
    this.#server = server
    const address = server.address()
    this.port = typeof address === 'object' && address ? address.port : 0
    this.#to = to
    this.#weather = weather
    this.#unit = unitStream(seedOf(seed))
    this.#buckets = { up: new Bucket(weather.bytesPerSecond), down: new Bucket(weather.bytesPerSecond) }
    server.on('connection', (near) => this.#meet(near))
  }

  /** @param to a port on loopback, which need not listen yet */
  static async open(to: number, seed: number, weather: Weather = {}): Promise<Wire> {
    const server = createServer({ allowHalfOpen: true })
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
    return new Wire(server, to, seed, weather)
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** Resets every connection, and each that is tried until it is mended. */
  cut(): void {
    this.#cut = true
    this.reset()
  }

  mend(): void {
    this.#cut = false
  }

  reset(): void {
    for (const line of this.#lines) line.reset()
  }

  /** Nothing passes this way any more and nobody is told, as where a cable is pulled. */
  stall(way: Way): void {
    this.#gates[way] ??= Promise.withResolvers()
  }

  flow(way: Way): void {
    this.#gates[way]?.resolve()
    this.#gates[way] = undefined
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    for (const way of ['up', 'down'] as const) this.flow(way)
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #meet(near: Socket): void {
    if (this.#cut) {
      this.seen.refused++
      return void near.on('error', () => undefined).resetAndDestroy()
    }
    this.seen.connections++
    const far = tcpConnect({ port: this.#to, host: '127.0.0.1', allowHalfOpen: true })
    const { meanBytesToReset, meanMillisToReset, delayMillis = 0 } = this.#weather
    const line: Line = new Line(near, far, {
      bytesToReset: this.#draw(meanBytesToReset),
      millisToReset: this.#draw(meanMillisToReset),
      delayMillis,
      bucket: (way) => this.#buckets[way],
      gate: (way) => this.#gates[way]?.promise,
      count: (what, bytes) => {
        this.seen[what] += bytes
      },
      over: (reset) => {
        this.#lines.delete(line)
        if (reset) this.seen.resets++
      },
    })
    this.#lines.add(line)
  }

  #draw(mean: number | undefined): number {
    const unit = this.#unit()
    return mean === undefined ? Number.POSITIVE_INFINITY : -Math.log(1 - unit) * mean
  }
}

type Fate = {
  readonly bytesToReset: number
  readonly millisToReset: number
  readonly delayMillis: number
  readonly bucket: (way: Way) => Bucket
  readonly gate: (way: Way) => Promise<void> | undefined
  readonly count: (what: Way | 'held', bytes: number) => void
  readonly over: (reset: boolean) => void
}

/** One connection, both ways. */
class Line {
  readonly #near: Socket
  readonly #far: Socket
  readonly #fate: Fate
  readonly #timer: NodeJS.Timeout | undefined
  #left: number
  #over = false

  constructor(near: Socket, far: Socket, fate: Fate) {
    this.#near = near
    this.#far = far
    this.#fate = fate
    this.#left = fate.bytesToReset
    if (fate.millisToReset < Number.POSITIVE_INFINITY) this.#timer = setTimeout(() => this.reset(), fate.millisToReset)
    // An end that breaks off breaks the other off: no half of a connection outlives it.
    for (const end of [near, far]) end.on('error', () => this.#end(false))
    const both = [this.#pump(near, far, 'up'), this.#pump(far, near, 'down')]
    void Promise.all(both).catch(() => this.#end(false))
    near.on('close', () => this.#end(false))
  }

  reset(): void {
    this.#end(true)
  }

  #end(reset: boolean): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#timer)
    this.#near.resetAndDestroy()
    this.#far.resetAndDestroy()
    this.#fate.over(reset)
  }

  async #pump(from: Socket, to: Socket, way: Way): Promise<void> {
    const { bucket, gate, delayMillis, count } = this.#fate
    let underway = 0
    let room = Promise.withResolvers<void>()
    const write = (piece: Buffer): void => {
      to.write(piece, () => {
        underway -= piece.length
        room.resolve()
      })
    }
    for await (const chunk of from as AsyncIterable<Buffer>)
      for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
        const piece = chunk.subarray(at, at + PIECE_BYTES)
        await bucket(way).take(piece.length)
        const gated = gate(way)
        if (gated) count('held', piece.length)
        await gated
        if (this.#over) return
        this.#left -= piece.length
        if (this.#left < 0) return this.reset()
        count(way, piece.length)
        underway += piece.length
        // Timers of one length fire in the order in which they were set.
        if (delayMillis > 0) setTimeout(write, delayMillis, piece)
        else write(piece)
        while (underway > UNDERWAY_BYTES_MAX) {
          room = Promise.withResolvers()
          await room.promise
        }
      }
    await pause(delayMillis)
    if (!this.#over) to.end()
  }
}

/** Tokens that come in at the rate of the wire; who takes more than there are waits for as long as they need. */
class Bucket {
  readonly #bytesPerMilli: number | undefined
  /** When the wire is free again. */
  #freeAt = 0

  constructor(bytesPerSecond: number | undefined) {
    this.#bytesPerMilli = bytesPerSecond === undefined ? undefined : bytesPerSecond / 1000
  }

  async take(bytes: number): Promise<void> {
    if (this.#bytesPerMilli === undefined) return
    const now = performance.now()
    this.#freeAt = Math.max(now, this.#freeAt) + bytes / this.#bytesPerMilli
    const wait = this.#freeAt - now
    if (wait >= 1) await pause(wait)
  }
}
