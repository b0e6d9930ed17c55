import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { type Conduct, conductFor, type Signals, Supervision, UNHINDERED } from '#client/conduct.ts'

const anySignals: fc.Arbitrary<Signals> = fc.record({
  paused: fc.boolean(),
  draining: fc.boolean(),
  ending: fc.boolean(),
  stopped: fc.boolean(),
  onBattery: fc.boolean(),
})
const MAY = ['joins', 'trains', 'works', 'answers'] as const

test('each signal forbids what it is for, and nothing else', () => {
  const may = (signals: Partial<Signals>) => {
    const conduct = conductFor({ ...UNHINDERED, ...signals })
    return [conduct.heldBack, ...MAY.filter((what) => conduct[what]), ...(conduct.ends ? ['ends'] : [])]
  }
  expect(may({})).toEqual([undefined, 'joins', 'trains', 'works', 'answers'])
  expect(may({ paused: true })).toEqual(['paused', 'works', 'answers'])
  expect(may({ draining: true })).toEqual(['draining', 'trains', 'works', 'answers', 'ends'])
  expect(may({ ending: true })).toEqual(['draining', 'trains', 'works', 'answers', 'ends'])
  expect(may({ onBattery: true })).toEqual(['on-battery', 'answers'])
  expect(may({ stopped: true })).toEqual(['stopped'])
})

test('a node may do what every signal allows, and nothing that one of them forbids', () => {
  fc.assert(
    fc.property(anySignals, (signals) => {
      const conduct = conductFor(signals)
      const alone = (Object.keys(signals) as (keyof Signals)[]).map((one) =>
        conductFor({ ...UNHINDERED, [one]: signals[one] }),
      )
      for (const what of MAY) expect(conduct[what]).toBe(alone.every((one) => one[what]))
      expect(conduct.ends).toBe(signals.draining || signals.ending)
      // It joins exactly where nothing holds it back, and every refusal has a name that some signal stands for.
      expect(conduct.heldBack === undefined).toBe(conduct.joins)
      expect(alone.map(({ heldBack }) => heldBack)).toContain(conduct.heldBack)
    }),
  )
})

test('whoever watches is told at once and of every change, once, until it stops watching', () => {
  fc.assert(
    fc.property(fc.array(anySignals, { maxLength: 12 }), (history) => {
      const supervision = new Supervision()
      const told: Conduct[] = []
      const watching = supervision.watch((conduct) => told.push(conduct))
      expect(told).toEqual([conductFor(UNHINDERED)])
      for (const signals of history) {
        supervision.change(signals)
        expect(supervision.conduct).toEqual(conductFor(signals))
        expect(told.at(-1)).toEqual(conductFor(signals))
      }
      for (const [index, conduct] of told.entries()) if (index > 0) expect(conduct).not.toEqual(told[index - 1])
      watching[Symbol.dispose]()
      const before = told.length
      supervision.change({ ...UNHINDERED, stopped: true })
      supervision.change(UNHINDERED)
      expect(told).toHaveLength(before)
    }),
  )
})

test('whoever waits for a conduct goes on once it is there, or ends by its own reason', async () => {
  const supervision = new Supervision()
  const stop = new AbortController()
  const mayTrain = () => supervision.until(({ trains }) => trains, stop.signal)
  await mayTrain()
  supervision.change({ paused: true })
  let goesOn = false
  const waiting = mayTrain().then(() => {
    goesOn = true
  })
  supervision.change({ draining: true })
  for (let turn = 0; turn < 5; turn++) await Promise.resolve()
  expect(goesOn).toBe(false)
  supervision.change({ paused: false })
  await waiting
  supervision.change({ paused: true })
  const vain = mayTrain()
  stop.abort(new Error('the round is over'))
  await expect(vain).rejects.toThrow('the round is over')
  await expect(mayTrain()).rejects.toThrow('the round is over')
})
