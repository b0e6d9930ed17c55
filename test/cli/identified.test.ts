import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { idOf, KINDS } from '#cli/identified.ts'

const ulid = fc.string({ unit: fc.constantFrom(...'0123456789ABCDEFGHJKMNPQRSTVWXYZ'), minLength: 26, maxLength: 26 })

test('an id is found by any start of it that is its own, with its prefix or without, and a whole one is not looked up', async () => {
  const { key } = KINDS
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(ulid, { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 4, max: 25 }),
      async (ids, chars) => {
        const all = ids.map((id) => ({ id: `${key.prefix}${id}` }))
        const [wanted = ''] = ids
        const start = wanted.slice(0, chars)
        const alike = ids.filter((id) => id.startsWith(start)).length
        for (const text of [start, `${key.prefix}${start}`]) {
          const found = idOf(text, key, async () => all)
          if (alike === 1) expect(await found).toBe(`${key.prefix}${wanted}`)
          else await expect(found).rejects.toMatchObject({ code: 'ambiguous_id', exit: 5 })
        }
      },
    ),
  )
  const whole = `${key.prefix}${'0'.repeat(26)}`
  expect(await idOf(whole, key, () => Promise.reject(new Error('looked up')))).toBe(whole)
  await expect(idOf('key', key, async () => [{ id: whole }])).rejects.toMatchObject({ code: 'not_found', exit: 4 })
})
