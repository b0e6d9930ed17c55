import { expect, test } from '@jest/globals'
import { Verifications } from '#coordinator/verifications.ts'
import { utf8 } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import type { Cid } from '#protocol/ids.ts'
import { virtualClock } from '#sim/virtual-clock.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { openVerifying } from '#threads/verification.ts'
import type { Failure, Verdict } from '#verify/verdict.ts'
import { cid, node, RUN } from './fixture.ts'

const REFUTED: Failure = { ok: false, step: 'sum', round: 2, detail: 'x'.repeat(1000) }
const asked = (name: string, by = 'a') => ({ run: RUN, root: cid(name), allowExpired: false, by })

/** Two processes over one log; each verification waits until it is let go. */
function processes() {
  const log = openMemoryLog()
  const waiting: { readonly root: Cid; readonly answer: PromiseWithResolvers<Verdict> }[] = []
  const open = () =>
    new Verifications({
      ...{ log, clock: virtualClock(0), blobs: openMemoryBlobs(), coordinator: node(0) },
      verify: (root) => {
        const answer = Promise.withResolvers<Verdict>()
        waiting.push({ root, answer })
        return answer.promise
      },
    })
  return { one: open(), other: open(), waiting }
}

async function made(verifications: Verifications, name: string, by?: string) {
  const begun = await verifications.ask(asked(name, by))
  if (!begun.ok) throw new Error(begun.refusal)
  return { done: begun.value }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('a record is verified once, one at a time, and every process knows what came of it', async () => {
  const { one, other, waiting } = processes()
  const [first, again, second] = [await made(one, 'a'), await made(one, 'a'), await made(one, 'b')]
  await turn()
  expect(waiting.map(({ root }) => root)).toEqual([cid('a')])
  expect([one.isRunning(cid('a')), one.isRunning(cid('b')), other.isRunning(cid('a'))]).toEqual([true, true, false])
  waiting[0]?.answer.resolve(REFUTED)
  expect(await first.done).toMatchObject({ verdict: 'refuted', step: 'sum', round: 2, detail: 'x'.repeat(500) })
  expect(await again.done).toEqual(await first.done)
  expect(await other.of(cid('a'))).toEqual(await first.done)
  expect(await (await made(other, 'a')).done).toEqual(await first.done)
  await turn()
  expect(waiting.map(({ root }) => root)).toEqual([cid('a'), cid('b')])
  waiting[1]?.answer.resolve(REFUTED)
  await second.done
  expect(one.isRunning(cid('b'))).toBe(false)
})

test('a thread that dies proves nothing: whoever asks again has it done again', async () => {
  const { one, waiting } = processes()
  const first = await made(one, 'a')
  const next = await made(one, 'b')
  await turn()
  waiting[0]?.answer.reject(new Error('the thread died'))
  await expect(first.done).rejects.toThrow('died')
  expect(await one.of(cid('a'))).toBeUndefined()
  await turn()
  waiting[1]?.answer.resolve(REFUTED)
  await next.done
  const again = await made(one, 'a')
  await turn()
  waiting[2]?.answer.resolve(REFUTED)
  expect(await again.done).toMatchObject({ verdict: 'refuted' })
})

test('so many may wait, and no more, and of one who asks no more than leaves room for others', async () => {
  const { one } = processes()
  for (let index = 0; index < 12; index++) await made(one, `record ${index}`)
  expect(await one.ask(asked('one more'))).toMatchObject({ ok: false, refusal: 'too-many' })
  for (let index = 12; index < 16; index++) await made(one, `record ${index}`, 'b')
  expect(await one.ask(asked('one more', 'c'))).toMatchObject({ ok: false, refusal: 'too-many' })
  expect((await one.ask(asked('record 3'))).ok).toBe(true)
})

test('a thread says of a record that is not there that it is not, and of a disk that fails nothing', async () => {
  await using verifying = openVerifying()
  const options = { coordinator: node(0), asked: { run: RUN }, allowExpired: false }
  const record = cidOf(DAG_CBOR, utf8('lost'))
  const lost = verifying.verify(record, async () => undefined, options)
  const failing = verifying.verify(record, () => Promise.reject(new Error('the disk is away')), options)
  failing.catch(() => undefined)
  expect(await lost).toMatchObject({ ok: false, step: 'block' })
  await expect(failing).rejects.toThrow(/away/)
})
