import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { Telling } from '#cli/sim/telling.ts'
import { noise } from '#test/client/trainers/tasks.ts'
import { temporaryFolder } from '#test/folder.ts'
import { consilium, jsonLines } from './command.ts'
import { here } from './here.ts'

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
    const one = await here(['sim', '--seeds', '1..1', '--rounds', '1', '--weather', 'calm', '--json'])
    expect(jsonLines(one.stdout)).toMatchObject([
      { type: 'sim.finished', seed: 1, ok: true },
      { type: 'sim.summary', seeds: 1, failed: [], rounds: { closed: 2 } },
    ])
  })

  test('counts nodes and processes from 1, for people and for programs', () => {
    const telling = new Telling(5, 1000)
    const fault = { kind: 'partition', nodes: [0, 3], direction: 'up', millis: 1500 } as const
    const moment = { at: 3000, type: 'fault', fault } as const
    expect(telling.line(moment)).toContain('nodes 1, 4 are unheard for 1.5 s')
    expect(telling.object(moment)).toEqual({
      ...{ type: 'sim.fault', at_ms: 2000, fault: 'partition' },
      ...{ nodes: [1, 4], direction: 'up', for_ms: 1500 },
    })
    const pause = { at: 3000, type: 'fault', fault: { kind: 'pause', who: { coordinator: 0 }, millis: 10 } } as const
    expect(telling.object(pause)).toMatchObject({ who: 'coordinator 1', for_ms: 10 })
  })

  test('learns several labels at once from tables that know some of them only', async () => {
    await using folder = await temporaryFolder()
    await writeWards(folder.path)
    const labels = ['--label', 'edema', '--label', 'effusion', '--label', 'rare']
    const { code, stdout } = await here(['sim', '--data', folder.path, ...labels, '--rounds', '2', '--json'])
    expect(code).toBe(0)
    const { figures } = jsonLines(stdout).at(-1) as {
      readonly figures: readonly {
        readonly name: string
        readonly value: number
        readonly by_label: readonly object[]
      }[]
    }
    expect(figures).toMatchObject([{ name: 'auroc', by_label: [{}, {}, {}] }])
    expect(figures[0]?.value).toBeGreaterThan(0.85)
    const none = await here(['sim', '--data', folder.path, ...labels, '--classes', '2'])
    expect(none).toMatchObject({ code: 2, stderr: expect.stringContaining('--classes is about one label') })
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

/** Three wards that measure the same, of which the second never looked for what is rare. */
async function writeWards(folder: string): Promise<void> {
  for (let ward = 1; ward <= 3; ward++) {
    const next = noise(ward)
    const rows = Array.from({ length: 80 }, (_, row) => {
      const [x, y, z] = [next(), next(), next()]
      const [edema, effusion, rare] = [row % 7 === 0 ? '' : +(x > 0), +(y > z), ward === 2 ? '' : +(z > 0.5)]
      return [x.toFixed(3), y.toFixed(3), z.toFixed(3), edema, effusion, rare].join()
    })
    await writeFile(join(folder, `ward-${ward}.csv`), ['x,y,z,edema,effusion,rare', ...rows, ''].join('\n'))
  }
}
