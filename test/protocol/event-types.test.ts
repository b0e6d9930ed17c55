import { readFile } from 'node:fs/promises'
import { expect, test } from '@jest/globals'
import { SETTINGS } from '#dashboard/settings-words.ts'
import { EVENT_TYPES, EVENTS, isMeant, mistakeInPattern } from '#protocol/event-types.ts'

test('the list has every type that a run tells and no other, and so has the page on webhooks', async () => {
  const views = await readFile('coordinator/api/views.ts', 'utf8')
  // How a run ends is made of its outcome.
  const ends = ['run.completed', 'run.failed', 'run.stopped']
  const told = new Set([...ends, ...[...views.matchAll(/'([a-z]+\.[a-z]+)'/g)].map(([, type]) => type)])
  expect([...EVENT_TYPES].sort()).toEqual([...told].sort())
  const table = Object.entries(EVENTS).map(([type, meaning]) => `| \`${type}\` | ${meaning} |\n`)
  expect(await readFile('docs/webhooks.md', 'utf8')).toContain(table.join(''))
})

test.each(['*', 'run.*', 'round.completed', 'ro*', ...Object.keys(SETTINGS.patterns)])(
  '%s means an event',
  (pattern) => {
    expect(mistakeInPattern(pattern)).toBeUndefined()
    expect(EVENT_TYPES.some((type) => isMeant(pattern, type))).toBe(true)
  },
)

test.each([
  ['round.complete', 'round.completed'],
  ['rounds.completed', 'round.completed'],
  ['rnu.*', 'run.*'],
  ['node.join', 'node.joined'],
  ['webhook.test', undefined],
  ['', undefined],
  ['sim.*', undefined],
])('%s means none, and what was probably meant is %s', (pattern, nearest) => {
  expect(mistakeInPattern(pattern)).toEqual({ nearest })
})
