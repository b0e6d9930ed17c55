import type { RandomAccess } from './source.ts'

/** A file that was picked in a page. What has changed since cannot be read: the browser sees to that. */
export function inBlob(path: string, blob: Blob): RandomAccess {
  return {
    path,
    sizeBytes: blob.size,
    async read(pieces) {
      await Promise.all(
        pieces.map(async ({ offset, into }) => {
          into.set(new Uint8Array(await blob.slice(offset, offset + into.length).arrayBuffer()))
        }),
      )
    },
  }
}
