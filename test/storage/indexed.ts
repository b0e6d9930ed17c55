import { join } from 'node:path'
import { BrokenInvariant } from '#protocol/assert.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BlobCorrupt, BlobMissing, type BlobStore, BlobTooLarge, type EventLog } from '#protocol/ports.ts'
import { openPage } from '#test/chromium.ts'
import type { Answer } from './indexed-page.ts'

const THROWN = { BrokenInvariant, BlobCorrupt, BlobMissing, BlobTooLarge }

/** A page's log and blobs, as they are to callers in Node. @param name of the page's database */
export async function openIndexedStores(chromium: string, name: string) {
  const opened = await openPage(chromium, join(import.meta.dirname, 'indexed-page.ts'))
  const { page } = opened
  const sources = new Map<string, AsyncIterator<Bytes>>()
  let ids = 0
  await page.exposeFunction('pull', async (id: string) => {
    try {
      const next = await sources.get(id)?.next()
      return { piece: !next || next.done ? null : Buffer.from(next.value).toString('base64') }
    } catch (cause) {
      return { thrown: (cause as Error).message }
    }
  })
  await page.evaluate(
    `import('/module.js').then(async (page) => { globalThis.call = await page.openStores('${name}') })`,
  )

  async function call(what: string, ...args: readonly unknown[]): Promise<unknown> {
    const ask = (kind: string, given: readonly unknown[]) =>
      (globalThis as unknown as { call(...all: readonly unknown[]): Promise<Answer> }).call(kind, ...given)
    const { value, thrown } = await page.evaluate(ask, what, args)
    if (!thrown) return heard(value)
    const Thrown = THROWN[thrown.name as keyof typeof THROWN] ?? Error
    throw new Thrown(thrown.message)
  }

  async function* items(begin: (id: string) => Promise<unknown>, signal?: AbortSignal): AsyncIterable<never> {
    const id = `reading ${ids++}`
    signal?.throwIfAborted()
    await begin(id)
    try {
      for (;;) {
        const { items: found, done } = (await call('next', id)) as { items: unknown[]; done: boolean }
        yield* found.map((item) => heard(item) as never)
        if (done) return
      }
    } finally {
      await call('leave', id)
    }
  }

  const log: EventLog = {
    append: (stream, position, entries) =>
      call('append', stream, position, entries.map(text)) as Promise<'appended' | 'conflict'>,
    head: (stream) => call('head', stream) as Promise<number>,
    read: (stream, from = 0) => items((id) => call('read', id, stream, from)),
    streams: (prefix) => items((id) => call('streams', id, prefix)),
  }
  const blobs: BlobStore = {
    async put(source, limitBytes, signal, expected) {
      const id = `source ${ids++}`
      sources.set(id, source[Symbol.asyncIterator]())
      const abort = () => void call('abort', id, String((signal?.reason as Error | undefined)?.message))
      signal?.addEventListener('abort', abort)
      return (await call('put', id, limitBytes, expected)) as Cid
    },
    async putBlocks(blocks) {
      await call(
        'putBlocks',
        blocks.map(({ cid, bytes }) => ({ cid, bytes: text(bytes) })),
      )
    },
    get: (cid, range, signal) => items((id) => call('get', id, cid, range), signal),
    getBlock: (cid, limitBytes) => call('getBlock', cid, limitBytes) as Promise<Bytes>,
    has: (cid) => call('has', cid) as Promise<boolean>,
    async delete(cid) {
      await call('delete', cid)
    },
  }
  return {
    ...{ log, blobs, call, page },
    damage: async (cid: Cid, bytes: Bytes) => void (await call('damage', cid, text(bytes))),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  }
}

function text(bytes: Bytes): string {
  return Buffer.from(bytes).toString('base64')
}

function heard(value: unknown): unknown {
  const { base64 } = (value ?? {}) as { readonly base64?: string }
  return base64 === undefined ? value : new Uint8Array(Buffer.from(base64, 'base64'))
}
