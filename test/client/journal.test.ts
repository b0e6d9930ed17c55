import { describe, expect, test } from '@jest/globals'
import { say } from '#aggregation/secagg/messages.ts'
import { Journal, saidEntry } from '#client/journal.ts'
import { utf8 } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { RUN } from '#sim/setting.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { openSqliteLog } from '#storage/logs/sqlite.ts'
import { seed } from '#test/aggregation/given.ts'
import { temporaryFolder } from '#test/folder.ts'
import { stranger } from './bench.ts'

const model = cidOf(DAG_CBOR, utf8('model'))
const sid = seed(1)
const confirm = say(stranger, 'Confirm', { sid, u: 1, u3Hash: seed(2) })
const bound = { kind: 'bound', advert: model, sid, u: 1 } as const

describe('a journal', () => {
  test('reads back the exact bytes that were said, after the process is gone', async () => {
    await using folder = await temporaryFolder()
    const file = `${folder.path}/journal.sqlite`
    {
      await using log = openSqliteLog({ file })
      await new Journal(log).keep(RUN, 1, [bound, saidEntry(confirm.signed)])
    }
    await using log = openSqliteLog({ file })
    const found = await new Journal(log).recall(RUN, 1)
    expect(found?.member).toMatchObject({ sid: Uint8Array.from(sid), u: 1 })
    expect([...(found?.said.get('Confirm')?.body ?? [])]).toEqual([...confirm.signed.body])
    expect([...(found?.said.get('Confirm')?.signature ?? [])]).toEqual([...confirm.signed.signature])
  })

  test('keeps rounds apart, and models', async () => {
    const journal = new Journal(openMemoryLog())
    await journal.keep(RUN, 1, [saidEntry(confirm.signed)])
    await journal.spend({ inputKey: model, sid, run: RUN, round: 1, task: model })
    expect(await journal.recall(RUN, 2)).toBeUndefined()
    expect((await journal.recall(RUN, 1))?.member).toBeUndefined()
    expect(await journal.spendings(model)).toMatchObject([{ inputKey: model, sid, round: 1 }])
    expect(await journal.spendings(cidOf(DAG_CBOR, utf8('another')))).toEqual([])
  })

  test('keeps everything of those who write at once', async () => {
    const journal = new Journal(openMemoryLog())
    const sids = Array.from({ length: 20 }, (_, index) => seed(index))
    await Promise.all(sids.map((one) => journal.spend({ inputKey: model, sid: one, run: RUN, round: 1, task: model })))
    expect((await journal.spendings(model)).map((spent) => spent.sid)).toEqual(sids)
  })

  test('answers for nothing that another process wrote to, and guesses at nothing that it cannot read', async () => {
    const log = openMemoryLog()
    const journal = new Journal({ ...log, head: async () => 1 })
    await expect(journal.keep(RUN, 1, [saidEntry(confirm.signed)])).rejects.toThrow('another process')
    await log.append(`session/${RUN}/1`, 0, [utf8('not an entry')])
    await expect(journal.recall(RUN, 1)).rejects.toThrow('cannot be read')
  })
})
