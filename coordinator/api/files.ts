import type { Readable } from 'node:stream'
import type { Bytes } from '#protocol/ids.ts'
import { PUBLIC_FILE_BYTES_MAX } from '#protocol/limits.ts'
import { Places, type PlacesRule } from '#protocol/places.ts'
import { BlobTooLarge } from '#protocol/ports.ts'
import type { ApiDoors } from './doors.ts'
import { later, Problem } from './problems.ts'
import { problems, type Routes } from './runs.ts'
import { fileView, problemView } from './schemas.ts'
import { tenantOf } from './tenancy.ts'

export const FILES = '/v1/files'
/** Files that come at a time: each may take as long as it likes, and has up to a block in memory meanwhile. */
const PLACES: PlacesRule = { total: 64, each: 16 }

/** Files that tasks name as their public data, or as what they start from: whoever has the API key puts them here, and from then on anybody reads them. */
export function fileRoutes(routes: Routes, { blobs }: ApiDoors): void {
  // The body streams into the store, and is never whole in memory.
  const places = new Places(PLACES)
  routes.removeAllContentTypeParsers()
  routes.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  routes.post(
    FILES,
    {
      config: { scope: 'runs:write' },
      bodyLimit: PUBLIC_FILE_BYTES_MAX,
      schema: {
        summary: 'Keep a file that anybody may read, for tasks on public data or from given weights',
        description: 'The body as it is. A task names it by the CID that comes back, under publicData or weights.',
        consumes: ['application/octet-stream'],
        response: { 201: fileView, ...problems, 413: problemView, 507: problemView },
      },
    },
    async ({ body, caller }, reply) => {
      using place = places.take(tenantOf(caller))
      if (!place) throw later(503, 'too_many_files', 'so many files are on their way already', { closes: true })
      let sizeBytes = 0
      const counted = async function* (): AsyncIterable<Bytes> {
        for await (const piece of (body ?? []) as Readable | readonly Bytes[]) {
          sizeBytes += (piece as Bytes).length
          yield piece as Bytes
        }
      }
      const cid = await blobs.put(counted(), PUBLIC_FILE_BYTES_MAX).catch((cause: unknown) => {
        if (!(cause instanceof BlobTooLarge)) throw cause
        throw new Problem(413, 'too_large', 'Too large', `a file is at most ${PUBLIC_FILE_BYTES_MAX} bytes`)
      })
      return reply.code(201).send({ cid, size_bytes: sizeBytes })
    },
  )
}
