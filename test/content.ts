import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keystream, sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'

/** Bytes that look random and are the same for the same seed; different seeds share no block. */
export function contentOf(seed: string, sizeBytes: number): Bytes {
  return keystream(sha256(utf8(seed)), new Uint8Array(16))(sizeBytes).slice()
}

/** The bytes as a stream of pieces of these sizes, over and over; the last piece is what is left. */
export async function* inPieces(bytes: Bytes, ...sizes: readonly number[]): AsyncIterable<Bytes> {
  const cycle = sizes.some((size) => size > 0) ? sizes : [bytes.length || 1]
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = cycle[turn % cycle.length] as number
    yield bytes.subarray(at, at + size)
    at += size
  }
}

/** A new folder, removed at the end of the scope. */
export async function temporaryFolder(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await mkdtemp(join(tmpdir(), 'consilium-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

/** A server on a free loopback port, closed with its connections at the end of the scope. */
export async function loopback(
  listener: RequestListener,
): Promise<{ readonly url: string; readonly port: number } & AsyncDisposable> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
