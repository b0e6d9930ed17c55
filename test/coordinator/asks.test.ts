import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test } from '@jest/globals'
import type { Statistician } from '#client/asking.ts'
import type { Table } from '#client/data/csv.ts'
import { datasetVersion, tallyTable } from '#client/data/tally.ts'
import { participate } from '#client/participate.ts'
import { policyFor } from '#client/policy.ts'
import type { Progress } from '#client/progress.ts'
import { reasonOf } from '#client/progress.ts'
import { sequenceFrom } from '#client/sequence.ts'
import { siteTerms } from '#client/site.ts'
import { dialFromNode } from '#client/transports/node-line.ts'
import { SocketLink } from '#client/transports/socket-link.ts'
import { randomBytes } from '#crypto'
import { walkBundle } from '#protocol/bundle.ts'
import { toHex } from '#protocol/bytes.ts'
import type { Cid } from '#protocol/ids.ts'
import type { EventLog } from '#protocol/ports.ts'
import type { Question } from '#protocol/question.ts'
import { accept } from '#protocol/result.ts'
import { toyTrainer } from '#sim/toy.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openRemoteBlobs } from '#storage/blobs/remote.ts'
import { systemClock } from '#storage/clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { consilium } from '#test/cli/command.ts'
import { Shell } from '#test/cli/shell.ts'
import { question, table } from '#test/statistics/given.ts'
import { fileOf } from '#verify/bundle.ts'
import type { Proof, Verdict } from '#verify/verdict.ts'
import { verifyAny, verifyBundle, verifyFile } from '#verify/verify.ts'
import { type Live, live, signer } from './live.ts'

const COUNT: Question = question([{ kind: 'count', column: null }], { name: 'rows' })
const AGES: Question = question(
  [
    { kind: 'moments', column: 'age', lowMicro: 0, highMicro: 120_000_000, resolutionMicro: 1_000_000 },
    { kind: 'histogram', column: 'age', edgesMicro: [0, 40_000_000, 120_000_000], quantilesPerMille: [500] },
  ],
  { name: 'ages' },
)
const TABLES = [
  table({ age: [31, 45, 60], chol: [200, null, 240] }),
  table({ age: [22, 38, 71, 64], chol: [180, 210, 230, 250] }),
  table({ age: [55, 56, 57], chol: [null, null, 300] }),
  table({ age: [40, 41, 90, 19, 39], chol: [1, 2, 3, 4, 5] }),
]

/** Sites that answer over real links to one coordinator; each may be stopped, and started again on its own journal. */
class Sites implements AsyncDisposable {
  readonly #at: Live
  readonly #journals = TABLES.map(() => openMemoryLog())
  readonly #running = new Map<number, { readonly end: AbortController; readonly done: Promise<void> }>()
  readonly told: Progress[][] = TABLES.map(() => [])
  tables: readonly Table[] = TABLES
  /** This site counts at the invitation, and is never heard of again. */
  stuck: number | undefined

  constructor(at: Live) {
    this.#at = at
  }

  async start(...sites: readonly number[]): Promise<void> {
    for (const site of sites) {
      const { url, id: coordinator } = this.#at.coordinator
      const end = new AbortController()
      const linked = Promise.withResolvers<void>()
      const report = (state: string) => state === 'linked' && linked.resolve()
      const own = signer(`site ${site}`)
      const sequence = sequenceFrom(() => systemClock.now())
      const transport = new SocketLink({ urls: [url], coordinator, dial: dialFromNode, signer: own, sequence, report })
      let ticket: string | undefined
      const doors = {
        ...{ transport, blobs: openRemoteBlobs({ url, ticket: () => ticket, clock: systemClock }), clock: systemClock },
        ...{ trainer: toyTrainer(site), statistician: this.#statistician(site), signer: own, secret: randomBytes(32) },
        ...{ chance: randomBytes, coordinator, sequence, withheld: openMemoryBlobs(), outbox: openMemoryBlobs() },
        ...{ journal: this.#journals[site] as EventLog, site: TERMS, policy: policyFor('open', 2, TERMS) },
        useTicket: (text: string) => {
          ticket = text
        },
      }
      const done = (async () => {
        for await (const made of participate(doors, end.signal)) this.told[site]?.push(made)
        await transport[Symbol.asyncDispose]()
      })()
      this.#running.set(site, { end, done })
      await linked.promise
    }
  }

  async stop(site: number): Promise<void> {
    const { end, done } = this.#running.get(site) ?? {}
    this.#running.delete(site)
    end?.abort()
    await done
    while ((await this.linked()).includes(signer(`site ${site}`).id))
      await systemClock.wakeAt(systemClock.now() + 20, AbortSignal.timeout(5000))
  }

  async linked(): Promise<readonly string[]> {
    const { data } = (await (await this.#at.api('/v1/nodes')).json()) as { data: { id: string }[] }
    return data.map(({ id }) => id)
  }

  reasons(site: number): readonly string[] {
    return (this.told[site] ?? []).flatMap((made) => ('reason' in made ? [made.reason] : []))
  }

  #statistician(site: number): Statistician {
    return {
      tally: async (asked) => {
        if (this.stuck === site && this.told[site]?.some(({ kind }) => kind === 'joined'))
          await new Promise(() => undefined)
        const own = this.tables[site] as Table
        const tallies = tallyTable(own, asked)
        return tallies.ok ? accept({ version: datasetVersion(own), tallies: tallies.value }) : tallies
      },
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { end, done } of this.#running.values()) {
      end.abort()
      await done.catch((cause: unknown) => reasonOf(cause))
    }
  }
}
const ALLOWED = { allowExpired: true }
const TERMS = siteTerms('open', 'open', { minCell: 1 })

/** Asks and waits. @returns what the record of it proves */
async function ask(at: Live, asked: Question, change: object = {}): Promise<Verdict> {
  const body = {
    question: asked,
    secure: { suite: 1 },
    failuresMax: 1,
    cohort: { min: 3, max: 4, quorum: 3 },
    ...change,
  }
  const answer = await at.api('/v1/stats-queries', {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json' },
  })
  const { id } = (await answer.json()) as { id: string }
  expect(answer.status).toBe(201)
  await (await at.api(`/v1/runs/${id}/events`, { headers: { accept: 'text/event-stream' } })).text()
  const bytes = new Uint8Array(await (await at.api(`/v1/runs/${id}/bundle`)).arrayBuffer())
  return verifyBundle(fileOf(bytes), { coordinator: at.coordinator.id })
}

async function answered(at: Live, asked: Question): Promise<Proof> {
  const verdict = await ask(at, asked)
  if (!verdict.ok) throw new Error(`${verdict.step}: ${verdict.detail}`)
  expect(verdict).toMatchObject({ outcome: 'completed', question: asked })
  return verdict
}

/** The record of an answered question as a file, as a round, without vectors; and as the gateway has it, byte for byte. */
async function checkFiles(at: Live, { run, root }: Proof): Promise<void> {
  const bundle = async (query = '') => {
    const answer = await at.api(`/v1/runs/${run}/bundle${query}`)
    return { status: answer.status, bytes: new Uint8Array(await answer.arrayBuffer()) }
  }
  const verify = async (query: string) => verifyFile(fileOf((await bundle(query)).bytes), ALLOWED, verifyAny)
  const whole = (await bundle()).bytes
  const car = await fetch(new URL(`/ipfs/${root}?format=car`, at.coordinator.url))
  expect(toHex(new Uint8Array(await car.arrayBuffer()))).toBe(toHex(whole))
  expect((await bundle('?vectors=no')).bytes.length).toBeLessThan(whole.length)
  expect(await verify('?vectors=no')).toMatchObject({ ok: true, root, rounds: [{ vectors: 'expired' }] })
  expect(await verify('?round=1')).toMatchObject({ ok: true, round: { round: 1, vectors: 'recomputed' } })
  expect(await verify('?round=1&vectors=no')).toMatchObject({ ok: true, round: { vectors: 'expired' } })
  expect((await bundle('?round=2')).status).toBe(404)
  const out = join(at.state, 'exported.car')
  const of = ['bundles', 'export', run, '--from', at.coordinator.url, '--state', at.state, '--out', out, '--json']
  expect(await consilium(of)).toMatchObject({ code: 0 })
  expect(toHex(await readFile(out))).toBe(toHex(whole))
  const vectors: Cid[] = []
  const block = async (cid: Cid) =>
    new Uint8Array(await (await fetch(new URL(`/ipfs/${cid}?format=raw`, at.coordinator.url))).arrayBuffer())
  for await (const _ of walkBundle(root, block, (vector) => vectors.push(vector) === 0));
  using catalogue = new DatabaseSync(join(at.state, 'blobs/catalogue.sqlite'))
  for (const vector of vectors) catalogue.prepare('DELETE FROM blocks WHERE cid = ?').run(vector)
  for (const query of ['', '?round=1']) expect((await bundle(query)).status).toBe(410)
  await using shell = new Shell()
  const gone = await shell.run([...of, '--force'])
  expect(JSON.parse(gone.stderr)).toMatchObject({
    code: 'vectors_expired',
    fix: expect.stringContaining('--without-vectors'),
  })
  expect(toHex(await readFile(out))).toBe(toHex(whole))
  expect(await shell.run([...of, '--force', '--without-vectors', '--round', '1'])).toMatchObject({ code: 0 })
  expect(await verify('?vectors=no')).toMatchObject({ ok: true, rounds: [{ vectors: 'expired' }] })
}

describe('a question to sites', () => {
  test('is answered by the pooled rows, exactly, and so is the next one; each has its record as a file, as a round, without vectors, and as the gateway has it', async () => {
    await using at = await live()
    await using sites = new Sites(at)
    await sites.start(0, 1, 2, 3)
    const counted = await answered(at, COUNT)
    expect(counted.answer).toEqual({
      sites: 4,
      parts: [{ kind: 'count', column: null, rows: 15, missing: null }],
    })
    const ages = TABLES.flatMap(({ columns }) => [...(columns.get('age')?.values ?? [])])
    const mean = ages.reduce((sum, age) => sum + age, 0) / ages.length
    const { answer, rounds } = await answered(at, AGES)
    expect(answer?.parts).toMatchObject([
      { kind: 'moments', values: 15, mean },
      { kind: 'histogram', below: 0, bins: [{ rows: 5 }, { rows: 10 }], above: 0 },
    ])
    expect(rounds).toMatchObject([{ purpose: 'ask', outcome: 'closed', vectors: 'recomputed', paid: 0n }])
    await checkFiles(at, counted)
  })

  test('is not answered without one of those who answered before, and is again when that one is back, or by others once the data are new', async () => {
    await using at = await live()
    await using sites = new Sites(at)
    await sites.start(0, 1, 2, 3)
    await answered(at, COUNT)
    await sites.stop(3)
    const without = await ask(at, AGES)
    expect(without).toMatchObject({ ok: true, outcome: 'failed', answer: null })
    for (const site of [0, 1, 2]) expect(sites.reasons(site).join()).toMatch(/sums-too-alike/)
    await sites.start(3)
    // The plan shows that the session without it was abandoned, though that was another run's.
    expect((await answered(at, AGES)).nodes).toHaveLength(4)
    await sites.stop(3)
    sites.tables = sites.tables.map((_, site) => table({ age: [50 + site] }))
    expect((await answered(at, COUNT)).answer?.parts).toMatchObject([{ rows: 3 }])
  })

  test('is answered after another one came to nothing, since its plan shows that no sum of that can be opened', async () => {
    await using at = await live()
    await using sites = new Sites(at)
    await sites.start(0, 1, 2)
    sites.stuck = 2
    // For so long the one that is never heard of again is waited for, three times; and so long the others have for theirs.
    const timing = { selectionMillis: 3000, keysMillis: 2000, reportingMillis: 2000 }
    expect(await ask(at, COUNT, { timing })).toMatchObject({ ok: true, outcome: 'failed', answer: null })
    for (const site of [0, 1]) expect(sites.told[site]?.map(({ kind }) => kind)).toContain('reported')
    sites.stuck = undefined
    const { answer, rounds } = await answered(at, AGES)
    expect([answer?.sites, rounds[0]?.vectors]).toEqual([3, 'recomputed'])
  })

  test('is declined by name where a site has no such column, or takes no cells that small', async () => {
    await using at = await live()
    await using sites = new Sites(at)
    sites.tables = sites.tables.map((own, site) => (site === 1 ? table({ weight: [1, 2, 3] }) : own))
    await sites.start(0, 1, 2, 3)
    expect((await answered(at, AGES)).nodes).toHaveLength(3)
    expect(sites.reasons(1).join()).toMatch(/no-column/)
  })
})
