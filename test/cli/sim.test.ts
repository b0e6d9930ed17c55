import { describe, expect, test } from '@jest/globals'
import { consilium, jsonLines } from './command.ts'

describe('consilium sim', () => {
  test('tells one seed, and in another process the same history to the last byte', async () => {
    const [text, json] = await Promise.all([
      consilium(['sim', '--seed', '3', '--rounds', '2']),
      consilium(['sim', '--seed', '3', '--rounds', '2', '--json']),
    ])
    expect([text.code, json.code]).toEqual([0, 0])
    const told = jsonLines(json.stdout)
    const types = new Set(told.map(({ type }) => type))
    for (const type of ['sim.process', 'sim.fault', 'run.created', 'round.completed', 'sim.finished'])
      expect(types).toContain(type)
    const last = told.at(-1) as { readonly history: string; readonly ok: boolean }
    expect(last).toMatchObject({ type: 'sim.finished', seed: 3, ok: true, outcome: 'completed' })
    expect(text.stdout).toContain(`history  ${last.history}\n`)
  })

  test('plays many seeds and sums up what became of their rounds', async () => {
    const { code, stdout, stderr } = await consilium(['sim', '--seeds', '1..3', '--rounds', '1', '--weather', 'calm'])
    expect([code, stdout]).toEqual([0, 'seeds   3 from 1 to 3, 0 broke a promise\nrounds       6  closed\n'])
    expect(stderr).toContain('3 of 3 seeds\n')
  })

  test('says which values it takes', async () => {
    for (const [flag, value, fix] of [
      ['--seeds', '9..1', '--seeds 1..100'],
      ['--weather', 'strom', 'did you mean storm?'],
      ['--masking', 'all', ''],
    ] as const) {
      const { code, stderr } = await consilium(['sim', flag, value])
      expect(code).toBe(2)
      expect(stderr).toContain(fix)
    }
  })
})
