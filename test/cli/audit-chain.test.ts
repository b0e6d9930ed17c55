import { describe, expect, test } from '@jest/globals'
import * as fc from 'fast-check'
import { z } from 'zod'
import { AuditChain, type AuditHead } from '#cli/audit-chain.ts'
import { Audit } from '#coordinator/audit.ts'
import { toHex } from '#protocol/bytes.ts'
import { encode } from '#protocol/codec.ts'
import type { AuditEventView } from '#sdk/views/access.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'

const entry = (index: number) => ({
  ...{ id: `aud_${index}`, at: 1_700_000_000_000 + index, actor: { id: 'key', name: 'x' }, federation: null },
  ...{ action: 'POST /v1/runs', target: index % 2 ? `/v1/runs/${index}` : null, status: 201, request: `req_${index}` },
})

/** As the API shows it, the newest first. */
async function shown(audit: Audit): Promise<AuditEventView[]> {
  const { data } = await audit.page(undefined, 1000, () => true)
  return data.map(({ at, request, position, hash, before, ...rest }) => ({
    ...{ ...rest, time: new Date(at).toISOString(), request_id: request, seq: position, hash: toHex(hash) },
    before: before ? toHex(before) : null,
  }))
}

function mistakeIn(events: readonly AuditEventView[], noted?: AuditHead): string | undefined {
  const chain = new AuditChain(noted)
  for (const event of events) {
    const mistake = chain.follow(event)
    if (mistake !== undefined) return mistake
  }
  return chain.end()
}

const COUNT = 9
async function kept(): Promise<readonly AuditEventView[]> {
  const log = openMemoryLog()
  // Two processes, in turns.
  const [one, two] = [new Audit(log), new Audit(log)]
  for (let index = 0; index < COUNT; index++) await (index % 3 ? one : two).add(entry(index))
  return shown(new Audit(log))
}

describe('the audit log', () => {
  test('holds, also where two processes wrote it at once, and where it was longer once it was noted', async () => {
    const all = await kept()
    expect(all.map(({ seq }) => seq)).toEqual([8, 7, 6, 5, 4, 3, 2, 1, 0])
    expect(mistakeIn(all)).toBeUndefined()
    expect(mistakeIn([])).toBeUndefined()
    for (const { seq, hash } of all) expect(mistakeIn(all, { seq, hash })).toBeUndefined()
    const log = openMemoryLog()
    const processes = [new Audit(log), new Audit(log), new Audit(log)]
    await Promise.all(Array.from({ length: 30 }, (_, index) => processes[index % 3]?.add(entry(index))))
    expect(mistakeIn(await shown(new Audit(log)))).toBeUndefined()
  })

  test('of which anything was changed, left out, put in or turned round does not', async () => {
    const all = await kept()
    const [{ seq, hash } = { seq: 0, hash: '' }] = all
    const place = fc.nat(COUNT - 1)
    const fields = fc.constantFrom<Partial<AuditEventView>>(
      { id: 'aud_x' },
      { time: '2020-01-01T00:00:00.000Z' },
      { actor: { id: 'other', name: 'x' } },
      { actor: { id: 'key', name: 'y' } },
      { action: 'DELETE /v1/runs' },
      { target: '/elsewhere' },
      { status: 403 },
      { request_id: 'r' },
      { federation: 'fed_1' },
      { hash: '00'.repeat(32) },
      { before: '00'.repeat(32) },
    )
    const changes = fc.oneof(
      fc.tuple(place, fields).map(([at, change]) => all.with(at, { ...(all[at] as AuditEventView), ...change })),
      place.map((at) => all.toSpliced(at, 1)),
      fc.tuple(place, place).map(([at, from]) => all.toSpliced(at, 0, all[from] as AuditEventView)),
      fc.nat(COUNT - 2).map((at) => all.toSpliced(at, 2, all[at + 1] as AuditEventView, all[at] as AuditEventView)),
      fc.integer({ min: 1, max: COUNT }).map((end) => all.slice(end)),
      fc.integer({ min: 0, max: COUNT - 1 }).map((end) => all.slice(0, end)),
    )
    fc.assert(fc.property(changes, (changed) => expect(mistakeIn(changed, { seq, hash })).toEqual(expect.any(String))))
  })

  test('that was written anew from some entry on, hashes and all, is not the one that was noted', async () => {
    const [noted] = await kept()
    const log = openMemoryLog()
    const audit = new Audit(log)
    for (let index = 0; index < COUNT + 3; index++)
      await audit.add({ ...entry(index), ...(index === 4 && { status: 403 }) })
    const anew = await shown(audit)
    expect(mistakeIn(anew)).toBeUndefined()
    expect(mistakeIn(anew, noted)).toBe('entry 8 is not the one that was noted')
  })

  test('that an earlier version began is held from its last entry of that time on', async () => {
    const log = openMemoryLog()
    const anything = z.unknown() as z.ZodType<object>
    for (let index = 0; index < 3; index++) await log.append('audit', index, [encode(anything, entry(index))])
    const audit = new Audit(log)
    for (let index = 3; index < 6; index++) await audit.add(entry(index))
    const all = await shown(audit)
    const chain = new AuditChain()
    expect([...all.map((event) => chain.follow(event)), chain.end()]).toEqual(Array(7).fill(undefined))
    expect([chain.linkedFrom, chain.head?.seq]).toEqual([3, 5])
    const { before: _, ...unlinked } = all[1] as AuditEventView
    expect(mistakeIn(all.with(1, { ...unlinked, before: null }))).toEqual(expect.any(String))
  })
})
