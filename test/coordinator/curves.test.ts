import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { csvOf, metricsOf } from '#coordinator/api/metrics.ts'
import { Curves } from '#coordinator/curves.ts'
import { downsample } from '#coordinator/downsample.ts'
import { markdownParagraphs, markdownText, yamlNumber, yamlText } from '#coordinator/escaping.ts'
import { encodeEvent, type RunEvent } from '#coordinator/run-events.ts'
import type { EventLog } from '#protocol/ports.ts'
import type { Task } from '#protocol/task.ts'
import { TOY_TASK } from '#sim/toy.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { cid, EVALUATION, happens, RUN, specOf } from './fixture.ts'

describe('a curve that is drawn by fewer points', () => {
  const curves = fc.array(fc.double({ min: -1e3, max: 1e3, noNaN: true }), { minLength: 1, maxLength: 300 })

  test('keeps its ends and its order, one point of each bucket, and is the same again', () => {
    fc.assert(
      fc.property(curves, fc.integer({ min: 3, max: 60 }), (ys, to) => {
        const points = ys.map((y, x) => ({ x, y }))
        const kept = downsample(points, to)
        expect(kept).toHaveLength(Math.min(to, ys.length))
        expect(kept).toEqual(kept.toSorted((a, b) => a - b))
        expect(new Set(kept).size).toBe(kept.length)
        expect([kept[0], kept.at(-1)]).toEqual([0, ys.length - 1])
        expect(downsample(points, to)).toEqual(kept)
      }),
    )
  })

  test('keeps the one spike of a flat line, wherever it is', () => {
    for (let spike = 1; spike < 99; spike++) {
      const points = Array.from({ length: 100 }, (_, x) => ({ x, y: x === spike ? 5 : 0 }))
      expect(downsample(points, 7)).toContain(spike)
    }
  })
})

describe('what a log says of its sums', () => {
  const at = (event: object, at: number, round = 1) => ({ ...event, at, round }) as RunEvent
  const first: RunEvent[] = [
    { kind: 'created', at: 0, spec: specOf() },
    { kind: 'opened', at: 1, round: 1, plan: cid('plan'), invited: 3 },
    at({ ...happens.report(0), trainMillis: 40 }, 2),
    at({ ...happens.report(1), trainMillis: 70 }, 3),
    at(happens.aggregate(), 4),
  ]
  const second: RunEvent[] = [
    { kind: 'opened', at: 5, round: 2, plan: cid('plan'), invited: 3 },
    at({ ...happens.report(0), trainMillis: 10 }, 6, 2),
    at(happens.aggregate(), 7, 2),
  ]

  test('is read once, an entry at a time, also where the log goes away in the middle', async () => {
    const memory = openMemoryLog()
    const asked: number[] = []
    let leaves = 2
    const log: EventLog = {
      ...memory,
      append: (...args) => memory.append(...args),
      async *read(stream, from = 0) {
        asked.push(from)
        for await (const entry of memory.read(stream, from)) {
          if (leaves-- === 0) throw new Error('away')
          yield entry
        }
      },
    }
    await memory.append(RUN, 0, first.map(encodeEvent))
    const curves = new Curves(log)
    await expect(curves.of(RUN)).rejects.toThrow('away')
    leaves = 100
    const told = { manifest: cid('manifest'), model: cid('model'), evaluation: EVALUATION }
    expect(await curves.of(RUN)).toEqual([{ round: 1, ...told, trainMillis: 70 }])
    await memory.append(RUN, first.length, second.map(encodeEvent))
    const [one, other] = await Promise.all([curves.of(RUN), curves.of(RUN)])
    expect(one.map(({ round, trainMillis }) => [round, trainMillis])).toEqual([
      [1, 70],
      [2, 10],
    ])
    expect(other).toEqual(one)
    expect(asked).toEqual([0, 2, 5, 8])
  })

  test('of a run without a round is a row without figures', () => {
    const rows = metricsOf({ spec: specOf(), past: [] } as never, TOY_TASK as unknown as Task, [])
    expect(rows).toEqual([
      {
        ...{ round: 0, loss: null, accuracy: null, rows: null, sites: null, cohort: null, reports: null },
        ...{ train_ms: null, duration_ms: null, overhead_ms: null, ended_at: null },
      },
    ])
  })

  test('of a task that asks for figures have their columns before the first is known', () => {
    const task = { ...TOY_TASK, metrics: ['auroc', 'calibration'] } as unknown as Task
    const [row] = metricsOf({ spec: specOf(), past: [] } as never, task, [])
    expect(Object.keys(row ?? {}).filter((name) => /auroc|calibration/.test(name))).toEqual([
      'auroc',
      'calibration-error',
    ])
    expect(row).toMatchObject({ auroc: null, 'calibration-error': null })
  })
})

test('a CSV field says what it is, whatever is in it', () => {
  expect(csvOf({ a: [1, null], 'b,"c"': ['x\ny', '2'] })).toBe('a,"b,""c"""\r\n1,"x\ny"\r\n,2\r\n')
})

describe('what came from outside', () => {
  test('is no Markdown', () => {
    expect(markdownText(' # *a* [b](javascript:x)\n<b> `c` |\u202e d ')).toBe(
      '\\# \\*a\\* \\[b\\]\\(javascript\\:x\\) \\<b\\> \\`c\\` \\| d',
    )
    expect(markdownParagraphs('one\ntwo\r\n\r\n---\n\n\n1. x')).toBe('one two\n\n\\-\\-\\-\n\n1\\. x')
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        expect(markdownText(text)).not.toMatch(/(?<!\\)(?:\\\\)*[#*_[\]<>`|~&]|\n/)
      }),
    )
  })

  test('is a YAML scalar that reads back, in ASCII', () => {
    expect(yamlText('a: "b" \\ é 😀\n- c')).toBe('"a: \\"b\\" \\\\ \\u00e9 \\U0001f600\\u000a- c"')
    expect([1e-7, -2.5e-9, 0.25, 3].map(yamlNumber)).toEqual(['1.0e-7', '-2.5e-9', '0.25', '3'])
  })
})
