import { join } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { openRecordSettlement } from '#payments/settlements/record.ts'
import type { OperatorId, RunId } from '#protocol/ids.ts'
import { EVENT_BYTES_MAX } from '#protocol/limits.ts'
import type { EventLog } from '#protocol/ports.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { openSqliteLog } from '#storage/logs/sqlite.ts'
import { operators, settlementConformance } from '#test/conformance/settlement.ts'
import { times } from '#test/effort.ts'
import { temporaryFolder } from '#test/folder.ts'

const shared = await temporaryFolder()
afterAll(async () => {
  await shared[Symbol.asyncDispose]()
})

settlementConformance('the record in memory', async () => {
  const log = openMemoryLog()
  return {
    door: () => openRecordSettlement(log),
    balances: () => openRecordSettlement(log).balances(),
    [Symbol.asyncDispose]: async () => undefined,
  }
})

let files = 0
/** Each door has the file open for itself, as processes do. */
settlementConformance('the record in a file', async () => {
  const file = join(shared.path, `ledger-${files++}.sqlite`)
  const opened = new AsyncDisposableStack()
  const door = () => openRecordSettlement(opened.use(openSqliteLog({ file })))
  return { door, balances: () => door().balances(), [Symbol.asyncDispose]: () => opened.disposeAsync() }
})

const run = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV' as RunId
const everyone = operators(200)

/** A log that fails at its nth append, before or after the entry is durable. */
function failing(log: EventLog, at: number, when: 'before' | 'after'): EventLog {
  let appends = 0
  return {
    ...log,
    append: async (stream, position, entries) => {
      const fails = ++appends === at
      if (fails && when === 'before') throw new Error('the disk is away')
      const answer = await log.append(stream, position, entries)
      if (fails) throw new Error('the answer was lost')
      return answer
    },
  }
}

describe('the record', () => {
  test('pays once when any append fails or its answer is lost, by the same process or the next', async () => {
    const payouts = everyone.map((payee, index) => ({ payee, amount: BigInt(index) }))
    const total = payouts.reduce((sum, { amount }) => sum + amount, 0n)
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom('before', 'after'),
        fc.boolean(),
        async (at, when, restart) => {
          const log = openMemoryLog()
          let door = openRecordSettlement(failing(log, at, when))
          let faults = 0
          const insist = async (operation: () => Promise<void>) => {
            await operation().catch((cause: Error) => {
              expect(cause.message).toMatch(/away|lost/)
              faults++
              if (restart) door = openRecordSettlement(log)
              return operation()
            })
          }
          await insist(() => door.hold('a-0-0', run, total + 5n))
          await insist(() => door.post('a-1-0', run, payouts))
          await insist(() => door.release('a-2-0', run, 5n))
          expect(faults).toBe(at <= 3 ? 1 : 0)
          expect(await log.head('ledger')).toBe(7)
          const next = openRecordSettlement(log)
          expect(await next.totals(run)).toEqual({ held: total + 5n, paid: total, released: 5n })
          const balances = await next.balances()
          for (const { payee, amount } of payouts) expect(balances.get(`operator:${payee}`)).toBe(amount)
        },
      ),
      { numRuns: times(12, 25) },
    )
  })

  test('a list that takes several entries is written whole or not at all', async () => {
    const log = openMemoryLog()
    const payouts = everyone.map((payee) => ({ payee, amount: 1n }))
    const broken = openRecordSettlement(failing(log, 2, 'before'))
    await broken.hold('a-0-0', run, 1000n)
    await expect(broken.post('a-1-0', run, payouts)).rejects.toThrow('away')
    expect(await log.head('ledger')).toBe(1)
    await broken.post('a-1-0', run, payouts)
    expect(await log.head('ledger')).toBe(6)
  })

  test('notices another list under an id of which only the first part is there, and writes the rest of the right one', async () => {
    const [whole, log] = [openMemoryLog(), openMemoryLog()]
    const payouts = everyone.map((payee) => ({ payee, amount: 1n }))
    const writer = openRecordSettlement(whole)
    await writer.hold('a-0-0', run, 1000n)
    await writer.post('a-1-0', run, payouts)
    let position = 0
    for await (const entry of whole.read('ledger')) if (position < 2) await log.append('ledger', position++, [entry])
    const last = { payee: everyone.at(-1) as OperatorId, amount: 2n }
    const door = openRecordSettlement(log)
    await expect(door.post('a-1-0', run, payouts.with(-1, last))).rejects.toThrow('another operation')
    await door.post('a-1-0', run, payouts)
    expect(await door.totals(run)).toEqual({ held: 1000n, paid: 200n, released: 0n })
    expect(await log.head('ledger')).toBe(6)
  })

  test('keeps every entry within an event, at 4,096 payees of the largest amounts', async () => {
    const log = openMemoryLog()
    const door = openRecordSettlement(log)
    const amount = 10n ** 25n
    const id = `${'x'.repeat(90)}-1-0`
    await door.hold('a-0-0', run, 4096n * amount)
    await door.post(
      id,
      run,
      operators(4096).map((payee) => ({ payee, amount })),
    )
    for await (const entry of log.read('ledger')) expect(entry.length).toBeLessThanOrEqual(EVENT_BYTES_MAX)
  })

  test('gives up with a fault, not a loop, on a log that reports conflicts and shows nothing', async () => {
    const log = { ...openMemoryLog(), append: async () => 'conflict' as const }
    await expect(openRecordSettlement(log).hold('a-0-0', run, 1n)).rejects.toThrow('shows no entry')
  })

  test('stops at an entry that it did not write', async () => {
    const log = openMemoryLog()
    await log.append('ledger', 0, [Uint8Array.of(0xa0)])
    await expect(openRecordSettlement(log).balances()).rejects.toThrow('can be read')
  })
})
