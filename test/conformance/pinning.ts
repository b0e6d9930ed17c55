import { describe, expect, test } from '@jest/globals'
import { BrokenInvariant } from '#protocol/assert.ts'
import { utf8 } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR, DAG_PB, RAW } from '#protocol/cid.ts'
import type { Cid } from '#protocol/ids.ts'
import type { Pin, PinningService, PinRequest } from '#protocol/ports.ts'

export const requestOf = (name: string, more: Partial<PinRequest> = {}): PinRequest => ({
  ...{ cid: cidOf(RAW, utf8(name)), name, origins: [], meta: {} },
  ...more,
})

/**
 * What every PinningService promises.
 *
 * @param open one that nobody else uses
 */
export function pinningConformance(
  name: string,
  open: () => Promise<{ readonly service: PinningService } & Partial<AsyncDisposable>>,
): void {
  const ids = (pins: readonly Pin[]) => pins.map(({ id }) => id).sort()

  /** Each test has one of its own, so that none meets the requests of another. */
  async function given(use: (service: PinningService) => Promise<void>): Promise<void> {
    const { service, [Symbol.asyncDispose]: dispose } = await open()
    try {
      await use(service)
    } finally {
      await dispose?.()
    }
  }

  describe(`pinning services: ${name}`, () => {
    test('a request is found by its id and by its CID, and of each kind of CID', () =>
      given(async (service) => {
        for (const codec of [RAW, DAG_PB, DAG_CBOR] as const) {
          const cid = cidOf(codec, utf8(`of codec ${codec}`))
          const pin = await service.add(requestOf('any', { cid }))
          expect(pin).toMatchObject({ cid, status: expect.stringMatching(/^(queued|pinning|pinned)$/) })
          expect(await service.get(pin.id)).toMatchObject({ id: pin.id, cid })
          expect(ids(await service.find([cid]))).toEqual([pin.id])
        }
      }))

    test('what is asked for may have no name, or the longest, with twenty origins and notes', () =>
      given(async (service) => {
        for (const request of [
          requestOf('no name', { name: null }),
          requestOf('long', {
            name: 'ü'.repeat(255),
            origins: Array.from({ length: 20 }, (_, index) => `/ip4/127.0.0.1/tcp/${4001 + index}`),
            meta: { app: 'consilium', run: 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV' },
          }),
        ])
          expect((await service.add(request)).cid).toBe(request.cid)
      }))

    test('every request for the CIDs is told, up to ten CIDs at once, and none for others', () =>
      given(async (service) => {
        const cids: Cid[] = []
        const made: Pin[] = []
        for (let index = 0; index < 12; index++) {
          const request = requestOf(`one of many ${index}`)
          cids.push(request.cid)
          made.push(await service.add(request))
        }
        expect(ids(await service.find(cids.slice(0, 10)))).toEqual(ids(made.slice(0, 10)))
        expect(ids(await service.find(cids.slice(10)))).toEqual(ids(made.slice(10)))
        expect(await service.find([requestOf('another').cid])).toEqual([])
      }))

    test('a CID that is added again is found under every id that was answered', () =>
      given(async (service) => {
        const answered = new Set<string>()
        for (let turn = 0; turn < 3; turn++) answered.add((await service.add(requestOf('again'))).id)
        expect(ids(await service.find([requestOf('again').cid]))).toEqual([...answered].sort())
      }))

    test('more requests than a page holds are told all the same', () =>
      given(async (service) => {
        const request = requestOf('by pages')
        const answered = new Set<string>()
        for (let turn = 0; turn < 120; turn++) answered.add((await service.add(request)).id)
        expect(ids(await service.find([request.cid]))).toEqual([...answered].sort())
      }))

    test('what is removed is found no more, and may be removed again; others stay', () =>
      given(async (service) => {
        const [kept, gone] = [await service.add(requestOf('kept')), await service.add(requestOf('gone'))]
        await service.remove(gone.id)
        await service.remove(gone.id)
        await service.remove('never-there')
        expect(await service.get(gone.id)).toBeUndefined()
        expect(await service.get('never-there')).toBeUndefined()
        expect(ids(await service.find([kept.cid, gone.cid]))).toEqual([kept.id])
      }))

    test.each([0, 11])('a question about %i CIDs is our own mistake', (count) =>
      given(async (service) => {
        const cids = Array.from({ length: count }, (_, index) => requestOf(`${index}`).cid)
        await expect((async () => service.find(cids))()).rejects.toThrow(BrokenInvariant)
      }),
    )
  })
}
