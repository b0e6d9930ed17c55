import type { Bytes, Cid } from '#protocol/ids.ts'
import { openIndexedBlobs } from '#storage/blobs/indexed.ts'
import { openPageDatabase, write } from '#storage/indexed/database.ts'
import { openSealedSecret } from '#storage/indexed/secret.ts'
import { openIndexedLog } from '#storage/logs/indexed.ts'

/** What a page keeps, as a test in Node asks for it: bytes go as base64, and what is thrown by its name. */

export type Answer = { readonly value?: unknown; readonly thrown?: { readonly name: string; readonly message: string } }

/** Of the test: the next piece of a blob that is put, or none, or what its source threw. */
type Pull = (source: string) => Promise<{ readonly piece?: string | null; readonly thrown?: string }>

/** Items of one reading that go at a time. */
const ITEMS = 16

export async function openStores(name: string) {
  const database = await openPageDatabase(name)
  const [log, blobs] = [openIndexedLog(database), openIndexedBlobs(database)]
  const readings = new Map<string, AsyncIterator<unknown>>()
  const stops = new Map<string, AbortController>()
  const calls = {
    append: (stream: string, position: number, entries: string[]) => log.append(stream, position, entries.map(bytesOf)),
    head: (stream: string) => log.head(stream),
    read: async (id: string, stream: string, from: number) => begin(id, log.read(stream, from)),
    streams: async (id: string, prefix: string) => begin(id, log.streams(prefix)),
    put: (id: string, limitBytes: number, expected: Cid | null) => {
      const stop = new AbortController()
      stops.set(id, stop)
      return blobs.put(pulled(id), limitBytes, stop.signal, expected ?? undefined)
    },
    putBlocks: (blocks: { cid: Cid; bytes: string }[]) =>
      blobs.putBlocks(blocks.map(({ cid, bytes }) => ({ cid, bytes: bytesOf(bytes) }))),
    get: async (id: string, cid: Cid, range: Parameters<typeof blobs.get>[1]) => begin(id, blobs.get(cid, range)),
    getBlock: (cid: Cid, limitBytes: number) => blobs.getBlock(cid, limitBytes),
    has: (cid: Cid) => blobs.has(cid),
    delete: (cid: Cid) => blobs.delete(cid),
    damage: (cid: Cid, bytes: string) =>
      write(database, ['blocks'], async (open) => void open('blocks').put(bytesOf(bytes), cid)),
    next: async (id: string) => {
      const items: unknown[] = []
      for (let left = ITEMS; left > 0; left--) {
        const next = await readings.get(id)?.next()
        if (!next || next.done) return { items, done: true }
        items.push(sent(next.value))
      }
      return { items, done: false }
    },
    leave: async (id: string) => {
      await readings.get(id)?.return?.()
    },
    abort: async (id: string, reason: string) => stops.get(id)?.abort(new Error(reason)),
    secret: (secretName: string) =>
      openSealedSecret(database, secretName, () => crypto.getRandomValues(new Uint8Array(32))),
    /** Whether what lies in the database could be taken elsewhere. */
    extractable: async (secretName: string) => {
      const reading = database.transaction('settings').objectStore('settings').get(secretName)
      await new Promise((resolve) => reading.addEventListener('success', resolve))
      return (reading.result as { readonly sealer: CryptoKey }).sealer.extractable
    },
  }
  function begin(id: string, items: AsyncIterable<unknown>): void {
    readings.set(id, items[Symbol.asyncIterator]())
  }
  return async (call: keyof typeof calls, ...args: never[]): Promise<Answer> => {
    try {
      return { value: sent(await (calls[call] as (...given: never[]) => Promise<unknown>)(...args)) }
    } catch (cause) {
      const { name: thrown, message } = cause as Error
      return { thrown: { name: thrown, message } }
    }
  }
}

async function* pulled(id: string): AsyncIterable<Bytes> {
  const { pull } = globalThis as unknown as { readonly pull: Pull }
  for (;;) {
    const { piece, thrown } = await pull(id)
    if (thrown !== undefined) throw new Error(thrown)
    if (piece === undefined || piece === null) return
    yield bytesOf(piece)
  }
}

function bytesOf(text: string): Bytes {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))
}

function sent(value: unknown): unknown {
  if (!(value instanceof Uint8Array)) return value
  let text = ''
  for (let at = 0; at < value.length; at += 8192) text += String.fromCharCode(...value.subarray(at, at + 8192))
  return { base64: btoa(text) }
}
