import type {
  BlobStore,
  ClientTransport,
  Clock,
  CoordinatorTransport,
  EventLog,
  PartsStore,
  Presence,
  Queue,
  RemoteStore,
  SharedLog,
  Snapshots,
} from '#protocol/ports.ts'
import { asRemote } from '#storage/blobs/copying.ts'
import type { Disk, Store } from './disk.ts'
import type { Life } from './life.ts'

/** The doors of one life: from its death on nothing of it reaches the world, and nothing of the world reaches it. */

/** One that several processes write. */
export function mortalSharedLog(log: SharedLog, life: Life): SharedLog {
  return {
    ...mortalLog(log, life),
    async *news(signal) {
      yield* whileRunning(log.news(AbortSignal.any([signal, life.over])), life)
    },
  }
}

/** A node's log is its journal. */
export function mortalLog(log: EventLog, life: Life, door: 'log' | 'journal' = 'log'): EventLog {
  const call = (name: string, changes: boolean) => ({ door, changes, name: `${door}.${name}` })
  return {
    append: (stream, position, entries) => life.pass(call('append', true), () => log.append(stream, position, entries)),
    async *read(stream, from) {
      await life.pass(call('read', false), async () => undefined)
      yield* whileRunning(log.read(stream, from), life)
    },
    head: (stream) => life.pass(call('head', false), () => log.head(stream)),
    async *streams(prefix) {
      await life.pass(call('streams', false), async () => undefined)
      yield* log.streams(prefix)
    },
  }
}

export function mortalBlobs(blobs: BlobStore, life: Life, door: Store): BlobStore {
  const call = (name: string, changes: boolean) => ({ door, changes, name: `${door}.${name}` })
  return {
    put: (...args) => life.pass(call('put', true), () => blobs.put(...args)),
    putBlocks: (blocks) => life.pass(call('putBlocks', true), () => blobs.putBlocks(blocks)),
    async *get(cid, range, signal) {
      await life.pass(call('get', false), async () => undefined)
      yield* whileRunning(blobs.get(cid, range, signal), life)
    },
    getBlock: (cid, limit) => life.pass(call('getBlock', false), () => blobs.getBlock(cid, limit)),
    has: (cid) => life.pass(call('has', false), () => blobs.has(cid)),
    // What is deleted makes room: a full disk lets it be.
    delete: (cid) => life.pass(call('delete', false), () => blobs.delete(cid)),
  }
}

/** A store that takes parts as well. */
export function mortalParts(blobs: PartsStore, life: Life, door: Store): PartsStore {
  const call = (name: string, changes: boolean) => ({ door, changes, name: `${door}.${name}` })
  return {
    ...mortalBlobs(blobs, life, door),
    putParts: (...args) => life.pass(call('putParts', true), () => blobs.putParts(...args)),
    finish: (blob) => life.pass(call('finish', true), () => blobs.finish(blob)),
    sweep: (now) => life.pass(call('sweep', false), () => blobs.sweep(now)),
  }
}

/** The coordinator's stores as a node has them: over the network, and full when the coordinator's disk is. */
export function remoteBlobs(
  blobs: BlobStore,
  life: Life,
  far: { readonly door: Store; readonly disk: Disk; readonly reach: () => Promise<void> },
): RemoteStore {
  const { reach, disk, door } = far
  const ask = <T>(name: string, changes: boolean, act: () => Promise<T>) =>
    life.pass({ door: 'link', changes, name: `link.${name}` }, async () => {
      await reach()
      if (changes) disk.checkRoom(door)
      return act()
    })
  return asRemote({
    put: (...args) => ask('put', true, () => blobs.put(...args)),
    putBlocks: (blocks) => ask('putBlocks', true, () => blobs.putBlocks(blocks)),
    async *get(cid, range, signal) {
      await ask('get', false, async () => undefined)
      yield* blobs.get(cid, range, signal)
    },
    getBlock: (cid, limit) => ask('getBlock', false, () => blobs.getBlock(cid, limit)),
    has: (cid) => ask('has', false, () => blobs.has(cid)),
    delete: (cid) => ask('delete', true, () => blobs.delete(cid)),
  })
}

export function mortalSnapshots(snapshots: Snapshots, life: Life): Snapshots {
  const call = (name: string, changes: boolean) => ({ door: 'snapshots', changes, name: `snapshots.${name}` }) as const
  return {
    latest: (stream) => life.pass(call('latest', false), () => snapshots.latest(stream)),
    keep: (stream, snapshot) => life.pass(call('keep', true), () => snapshots.keep(stream, snapshot)),
  }
}

export function mortalPresence(presence: Presence, life: Life): Presence {
  const call = (name: string, changes: boolean) => ({ door: 'presence', changes, name: `presence.${name}` }) as const
  return {
    arrived: (node) => life.pass(call('arrived', true), () => presence.arrived(node)),
    departed: (node) => life.pass(call('departed', true), () => presence.departed(node)),
    has: (node) => life.pass(call('has', false), () => presence.has(node)),
    nodes: () => life.pass(call('nodes', false), () => presence.nodes()),
    count: () => life.pass(call('count', false), () => presence.count()),
    moved: () => life.pass(call('moved', false), () => presence.moved()),
    orphans: () => life.pass(call('orphans', true), () => presence.orphans()),
    [Symbol.asyncDispose]: () => presence[Symbol.asyncDispose](),
  }
}

/** A process that is gone leaves its work to the others. */
export function mortalQueue<Job>(queue: Queue<Job>, life: Life): Queue<Job> {
  const call = (name: string, changes: boolean) => ({ door: 'queue', changes, name: `queue.${name}` }) as const
  return {
    push: (id, job) => life.pass(call('push', true), () => queue.push(id, job)),
    work(handler) {
      const worker = queue.work(async (job, signal) => {
        await life.pass(call('work', false), async () => undefined)
        await handler(job, signal)
        await life.pass(call('done', true), async () => undefined)
      })
      life.over.addEventListener('abort', () => void worker[Symbol.asyncDispose](), { once: true })
      return worker
    },
  }
}

/** A process that is stopped wakes when it goes on, its timers overdue. */
export function mortalClock(clock: Clock, life: Life): Clock {
  return {
    now: () => clock.now(),
    async wakeAt(at, signal) {
      await clock.wakeAt(at, signal)
      await life.running()
    },
  }
}

export function mortalCoordinatorLink(link: CoordinatorTransport, life: Life): CoordinatorTransport {
  return {
    ...link,
    send: (to, frame) => life.pass(SEND, () => link.send(to, frame)),
    events: (signal) => whileRunning(link.events(signal), life),
  }
}

export function mortalClientLink(link: ClientTransport, life: Life): ClientTransport {
  return {
    ...link,
    send: (frame) => life.pass(SEND, () => link.send(frame)),
    events: (signal) => whileRunning(link.events(signal), life),
  }
}

const SEND = { door: 'link', changes: true, name: 'link.send' } as const

async function* whileRunning<T>(events: AsyncIterable<T>, life: Life): AsyncIterable<T> {
  for await (const event of events) {
    await life.running()
    yield event
  }
}
