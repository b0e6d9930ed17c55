import { expect, test } from '@jest/globals'
import { Audit } from '#coordinator/audit.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'

/** @param federation of whoever did it */
const entry = (index: number, federation: string) => ({
  ...{ id: `aud_${index}`, at: index, actor: { id: 'key', name: 'x' }, federation },
  ...{ action: 'POST /v1/runs', target: null, status: 201, request: `req_${index}` },
})

test('a page of one looks at the log as seldom as a long one, and pages together show each entry once', async () => {
  const log = openMemoryLog()
  let looks = 0
  const audit = new Audit({
    ...log,
    append: (...given) => log.append(...given),
    head: (stream) => log.head(stream),
    read: (...given) => {
      looks++
      return log.read(...given)
    },
  })
  for (let index = 0; index < 1200; index++) await audit.add(entry(index, index % 400 === 0 ? 'ours' : 'theirs'))
  const shown: string[] = []
  for (let before: number | undefined, pages = 0; pages < 10; pages++) {
    const { data, next } = await audit.page(before, 1, ({ federation }) => federation === 'ours')
    shown.push(...data.map(({ id }) => id))
    if (next === null) break
    before = next
  }
  expect(shown).toEqual(['aud_800', 'aud_400', 'aud_0'])
  expect(looks).toBeLessThan(12)
})
