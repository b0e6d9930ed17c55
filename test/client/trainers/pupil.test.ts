import { beforeAll, expect, test } from '@jest/globals'
import { inMemory } from '#client/data/source.ts'
import { openBackend } from '#client/trainers/backend.ts'
import type { Fit, Reply } from '#client/trainers/conversation.ts'
import { Governor } from '#client/trainers/governor.ts'
import { openPupil } from '#client/trainers/pupil.ts'
import { utf8 } from '#protocol/bytes.ts'
import { logistic, tableOf, trainingOf } from './tasks.ts'

const table = utf8(`x0,x1,y\n${'1,2,1\n-1,-2,0\n'.repeat(20)}`)
const whole: Fit = {
  kind: 'fit',
  model: new Float32Array(3),
  task: trainingOf(logistic, 'sigmoid-cross-entropy', 2),
  words: new Governor(1).words,
}

beforeAll(async () => {
  await openBackend('cpu')
})

function pupil(open = async (path: string) => inMemory(path, table)) {
  const answer = openPupil(
    { kind: 'csv', path: 'site.csv' },
    open,
    () => {},
    async () => {
      throw new Error('no counting')
    },
  )
  return (change: Partial<Fit> = {}): Promise<Reply> => answer({ ...whole, ...change })
}

test('what cannot be read fails, what does not fit is refused, what is stopped stops, and all of them leave the thread whole', async () => {
  let isThere = false
  const answer = pupil(async (path) => {
    if (!isThere) throw new Error('ENOENT')
    return inMemory(path, table)
  })
  expect(await answer()).toEqual({ kind: 'failed', message: 'ENOENT' })
  isThere = true
  const stopped = new Governor(1)
  stopped.stop()
  expect(await answer({ words: stopped.words })).toEqual({ kind: 'stopped' })
  const wide = trainingOf(logistic, 'sigmoid-cross-entropy', 2, { data: tableOf(3, 2) })
  expect(await answer({ task: wide })).toMatchObject({ kind: 'refused', reason: 'data-contract' })
  expect(await answer()).toMatchObject({ kind: 'fitted', update: { examples: 32 } })
})

test('a table that is stopped while it is read is read no further', async () => {
  const governor = new Governor(1)
  let reads = 0
  const long = utf8(`x0,x1,y\n${'0.123456789,0.987654321,1\n'.repeat(40_000)}`)
  const answer = pupil(async (path) => {
    const file = inMemory(path, long)
    return {
      ...file,
      async read(pieces) {
        if (++reads === 2) governor.stop()
        await file.read(pieces)
      },
    }
  })
  expect(await answer({ words: governor.words })).toEqual({ kind: 'stopped' })
  expect(reads).toBe(2)
})

test('anything that goes wrong while it computes breaks it', async () => {
  const answer = pupil()
  expect(await answer({ model: new Float32Array(2) })).toMatchObject({ kind: 'broken' })
})
