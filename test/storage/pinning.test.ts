import { describe, expect, test } from '@jest/globals'
import { virtualClock } from '#sim/virtual-clock.ts'
import { RemoteFault, RemoteRefused } from '#storage/blobs/exchange.ts'
import { systemClock } from '#storage/clock.ts'
import { openMemoryPinning } from '#storage/pinning/memory.ts'
import { openPinningService } from '#storage/pinning/service.ts'
import { pinningConformance, requestOf } from '#test/conformance/pinning.ts'
import { live } from '#test/coordinator/live.ts'
import { pinningDouble, type Quirk } from '#test/pinning-double.ts'

pinningConformance('memory', async () => ({ service: openMemoryPinning() }))

pinningConformance('our own, over HTTP', async () => {
  const at = await live()
  const url = `${at.coordinator.url}/v1/pinning`
  return {
    service: openPinningService({ url, token: at.key, clock: systemClock }),
    [Symbol.asyncDispose]: () => at[Symbol.asyncDispose](),
  }
})

async function doubled(...quirks: readonly Quirk[]) {
  const double = await pinningDouble(...quirks)
  const service = openPinningService({ url: double.url, token: double.token, clock: systemClock })
  return { double, service, [Symbol.asyncDispose]: () => double[Symbol.asyncDispose]() }
}

for (const quirks of [[], ['names-find-all', 'one-id-a-cid', 'no-delegates'], ['odd-status']] as const)
  pinningConformance(`a service that is ${quirks.join(', ') || 'as it should be'}`, () => doubled(...quirks))

describe('a pinning service', () => {
  const { cid } = requestOf('any')

  test('is never asked for a name, or for a match', async () => {
    await using at = await doubled('names-find-all')
    const { id } = await at.service.add(requestOf('any'))
    await at.service.find([cid])
    await at.service.get(id)
    await at.service.remove(id)
    expect(at.double.asked.map(({ method }) => method)).toEqual(['POST', 'GET', 'GET', 'DELETE'])
    for (const { url, authorization } of at.double.asked) {
      expect(url).not.toMatch(/name|match/)
      expect(authorization).toBe(`Bearer ${at.double.token}`)
    }
  })

  test('that says a status of its own making has not said that anything is pinned', async () => {
    await using at = await doubled('odd-status')
    expect((await at.service.add(requestOf('any'))).status).toBe('queued')
  })

  test.each<readonly [Quirk, typeof RemoteFault | typeof RemoteRefused, RegExp]>([
    ['wrong-cid', RemoteFault, /another CID/],
    ['many-delegates', RemoteFault, /delegates/],
    ['endless', RemoteFault, /more than 2097152 bytes/],
    ['redirects', RemoteRefused, /307 REDIRECTED/],
    ['no-json', RemoteFault, /not of this API/],
    ['fails', RemoteFault, /^500 INTERNAL_SERVER_ERROR as it {2}\[31mlikes$/],
    ['busy', RemoteFault, /^429/],
    ['unauthorised', RemoteRefused, /^401 UNAUTHORIZED/],
    ['unpaid', RemoteRefused, /^409 INSUFFICIENT_FUNDS/],
  ])('that %s is refused by name, without its words being repeated raw', async (quirk, kind, message) => {
    await using at = await doubled(quirk)
    const failed = await at.service.add(requestOf('any')).catch((cause: unknown) => cause)
    expect(failed).toBeInstanceOf(kind)
    expect((failed as Error).message).toMatch(message)
    expect(JSON.stringify(failed, Object.getOwnPropertyNames(failed as object))).not.toContain(at.double.token)
    if (quirk === 'busy') expect(failed).toMatchObject({ retryAfterMillis: 120_000 })
    // Whoever was sent elsewhere went nowhere.
    expect(at.double.asked).toHaveLength(1)
  })

  test('that answers another request than it was asked for is refused', async () => {
    await using at = await doubled('wrong-id')
    await expect(at.service.get('1')).resolves.toBeUndefined()
    await at.service.add(requestOf('any'))
    await expect(at.service.get('1')).rejects.toThrow('another request')
  })

  test('whose pages never end is read so far and no further', async () => {
    await using at = await doubled('pages-stand-still')
    for (let index = 0; index < 3; index++) await at.service.add(requestOf('any'))
    at.double.asked.length = 0
    await expect(at.service.find([cid])).rejects.toThrow('do not move on')
    expect(at.double.asked.length).toBeLessThan(5)
  })

  test('that finds pins of other CIDs has found nothing of ours', async () => {
    await using at = await doubled('wrong-cid')
    await at.service.add(requestOf('any')).catch(() => undefined)
    expect(await at.service.find([cid])).toEqual([])
  })

  test('that says nothing is waited for so long and no longer', async () => {
    await using double = await pinningDouble('silent')
    const clock = virtualClock(0)
    const service = openPinningService({ url: double.url, token: 'token', clock, answerMillis: 5000 })
    const answer = service.get('any').catch((cause: unknown) => cause)
    await clock.advance(5000)
    expect(await answer).toMatchObject({ name: 'RemoteFault', message: 'no answer within 5000 ms' })
  })

  test('that is not there is a fault of the world', async () => {
    const { url, [Symbol.asyncDispose]: close } = await pinningDouble()
    await close()
    const service = openPinningService({ url, token: 'token', clock: systemClock })
    await expect(service.get('any')).rejects.toThrow('no answer: ECONNREFUSED')
  })

  test.each([
    ['http://api.example.org/psa', /in the clear/],
    ['ftp://127.0.0.1/', /in the clear/],
    ['https://user:secret@api.example.org', /no user, password/],
    ['https://api.example.org/psa?key=secret', /no user, password/],
    ['nonsense', /not a URL/],
  ])('at %s is not spoken to', (url, message) => {
    const open = () => openPinningService({ url, token: 'token', clock: systemClock })
    expect(open).toThrow(message)
    expect(open).not.toThrow('secret')
  })
})
