import { expect, test } from '@jest/globals'
import { quantiserFor } from '#aggregation/quantise.ts'
import { vectorBytesOf } from '#aggregation/vector.ts'
import { Inspection } from '#coordinator/inspection.ts'
import { MaskedInspection } from '#coordinator/masked-inspection.ts'
import { sha256 } from '#crypto'
import { once } from '#protocol/bytes.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { unscored } from '#test/aggregation/given.ts'
import { cid } from './fixture.ts'

const PARAMETERS = 3
const quantiser = quantiserFor({ clipNormMicro: 10_000_000, rowsMax: 1000, cohortMax: 3 })

/** A store that says how often a file was read. */
function countingBlobs() {
  const blobs = openMemoryBlobs()
  let reads = 0
  const get: typeof blobs.get = (...args) => {
    reads++
    return blobs.get(...args)
  }
  return { ...blobs, get, reads: () => reads }
}

test('a vector that was refused is not read again, however often it is reported', async () => {
  const blobs = countingBlobs()
  const inspection = new Inspection(blobs, quantiser)
  const bad = await blobs.put(once(new Uint8Array(vectorBytesOf(PARAMETERS))), 1000)
  for (let report = 0; report < 5; report++)
    expect(await inspection.inspect(bad, unscored(PARAMETERS), undefined)).toMatchObject({
      ok: false,
      refusal: 'bad-header',
    })
  expect(blobs.reads()).toBe(1)
  // A blob that is not there may come yet, and the same bytes may be due at another length.
  for (let report = 0; report < 2; report++)
    expect(await inspection.inspect(cid('later'), unscored(PARAMETERS), undefined)).toMatchObject({
      refusal: 'no-such-blob',
    })
  expect(await inspection.inspect(bad, unscored(0), undefined)).toMatchObject({ ok: false, refusal: 'wrong-length' })
  expect(blobs.reads()).toBe(4)
})

test('a masked vector that is not as it was signed is not read again either, and one that is not there may come yet', async () => {
  const blobs = countingBlobs()
  const inspection = new MaskedInspection()
  const bytes = new Uint8Array(64).fill(7)
  const vector = await blobs.put(once(bytes), 64)
  const inspect = (lengthBytes: number, hashed: Uint8Array, at = vector) =>
    inspection.inspect(blobs, at, { bytes: lengthBytes, sha256: sha256(hashed) }, undefined)
  for (let again = 0; again < 3; again++) {
    expect(await inspect(64, new Uint8Array(64))).toMatchObject({ refusal: 'not-as-signed' })
    expect(await inspect(60, new Uint8Array(60))).toMatchObject({ refusal: 'wrong-length' })
    expect(await inspect(64, bytes, cid('later'))).toMatchObject({ ok: false })
  }
  expect(blobs.reads()).toBeLessThanOrEqual(2 + 3)
  expect(await inspect(64, bytes)).toEqual({ ok: true, value: undefined })
  expect(blobs.reads()).toBeLessThanOrEqual(3 + 3)
})
