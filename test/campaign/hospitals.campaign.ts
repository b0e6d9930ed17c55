import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { z } from 'zod'
import { hear, type Kind } from '#aggregation/secagg/messages.ts'
import { startNodeProcess } from '#cli/demo/federation.ts'
import type { ConsiliumProcess } from '#cli/demo/process.ts'
import { Journal } from '#client/journal.ts'
import { decodeEvent, type RunEvent } from '#coordinator/run-events.ts'
import { collect } from '#protocol/bytes.ts'
import { cidOfDigest, RAW } from '#protocol/cid.ts'
import { decode, nodeIdField } from '#protocol/codec.ts'
import { type Signed, sealOf } from '#protocol/envelope.ts'
import type { Bytes, RunId } from '#protocol/ids.ts'
import { LOG_ENTRY_BYTES_MAX } from '#protocol/limits.ts'
import type { CreateRun } from '#sdk/task.ts'
import { openFolderReader } from '#storage/blobs/folder-reader.ts'
import { openSqliteLog } from '#storage/logs/sqlite.ts'
import { must } from '#test/aggregation/given.ts'
import { consilium, jsonLines } from '#test/cli/command.ts'
import { Cluster } from '#test/e2e/cluster.ts'
import { Liar } from '#test/e2e/liar.ts'

/** The first hospital's process is killed when it says these in turn, or soon after, once a round, and begins again. */
const MOMENTS = ['node.agreed', 'node.masked', 'node.confirmed', 'node.unmasked'] as const
const ROUNDS = MOMENTS.length

let cluster: Cluster
let run: RunId
let bundle: Bytes
let key: string
/** What the coordinator took for good. */
let taken: readonly RunEvent[]
const killed: string[] = []
let refused: { readonly status: number; readonly pointer: unknown }
const at = (...names: readonly string[]) => join(cluster.folder, ...names)

beforeAll(async () => {
  cluster = await Cluster.open({ seed: 'hospitals', nodes: 4, rounds: ROUNDS, hospitals: true })
  let last = 0
  const returns: Promise<void>[] = []
  const watch = (node: ConsiliumProcess | undefined): void =>
    node?.listen(({ type, round }) => {
      if (type !== MOMENTS[killed.length] || Number(round) <= last) return
      last = Number(round)
      killed.push(type)
      node.signal('SIGKILL')
      returns.push(node.ended.then(async () => watch((await cluster.startNodes(cluster.sites.slice(0, 1)))[0])))
    })
  watch((await cluster.startNodes(cluster.sites))[0])
  // No round begins without the one that is on its way back.
  const launch = { ...cluster.launch, cohort: { min: 4, max: 4, quorum: 3 } }
  const launched = await cluster.api.runs.create(launch as CreateRun)
  run = launched.id as RunId
  for await (const _ of launched.events({ signal: AbortSignal.timeout(240_000) }));
  await Promise.all(returns)
  bundle = await collect(readable(await launched.bundle()), 2 ** 24)
  await writeFile(at('bundle.car'), bundle)
  key = cluster.coordinator.key
  refused = await cluster.api.runs.create({ ...cluster.launch, masking: 'none' } as CreateRun).then(
    () => ({ status: 0, pointer: undefined }),
    (cause: unknown) => ({ status: 422, pointer: cause }),
  )
  await cluster.close()
  await using log = openSqliteLog({ file: at('coordinator/log.sqlite') })
  const entries: RunEvent[] = []
  for await (const entry of log.read(run)) entries.push(decodeEvent(entry))
  taken = entries
}, 300_000)
afterAll(() => cluster[Symbol.asyncDispose]())

/** Everything that the first hospital signed in a round, by type, as often as its journal has it. */
async function journal(round: number): Promise<ReadonlyMap<string, readonly Signed[]>> {
  await using log = openSqliteLog({ file: join(cluster.sites[0]?.folder ?? '', 'journal.sqlite') })
  const said = new Map<string, Signed[]>()
  const signed = z.looseObject({
    body: z.custom<Bytes>(),
    from: nodeIdField,
    signature: z.custom<Bytes>(),
    type: z.string(),
  })
  const entry = z.looseObject({ kind: z.string(), signed: signed.optional() })
  for await (const bytes of log.read(`session/${run}/${round}`)) {
    const { signed: one } = must(decode(entry, bytes, LOG_ENTRY_BYTES_MAX))
    if (one) said.set(one.type, [...(said.get(one.type) ?? []), one])
  }
  return said
}

async function vectorsOf(round: number): Promise<readonly Bytes[]> {
  using withheld = openFolderReader(at('coordinator/withheld'))
  const found: Bytes[] = []
  for (const site of cluster.sites) {
    await using log = openSqliteLog({ file: join(site.folder, 'journal.sqlite') })
    const signed = (await new Journal(log).recall(run, round))?.said.get('MaskedInput')
    if (!signed) continue
    const bytes = await withheld.block(cidOfDigest(RAW, must(hear('MaskedInput', signed)).body.sha256))
    if (bytes) found.push(bytes)
  }
  return found
}

describe('hospitals with lists of their own, over CSV files', () => {
  test('train whole runs that publish nothing but hashes of what they masked', async () => {
    const opened = taken.find(({ kind }) => kind === 'created')
    expect(opened).toMatchObject({ spec: { population: 'hospital', secure: { suite: 2, publish: 'commit-only' } } })
    expect(taken.filter(({ kind }) => kind === 'aggregated')).toHaveLength(ROUNDS + 1)
    let vectors = 0
    for (let round = 1; round <= ROUNDS; round++)
      for (const vector of await vectorsOf(round)) {
        vectors++
        expect(Buffer.from(bundle).includes(Buffer.from(vector))).toBe(false)
      }
    expect(vectors).toBeGreaterThanOrEqual(3 * ROUNDS)
  })

  test('and whoever verifies is told that the sums were not added up', async () => {
    const { code, stdout } = await consilium(['verify', at('bundle.car'), '--coordinator', key])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^masking {6}secagg\/1$/m)
    expect(stdout).toMatch(new RegExp(`^verify {7}ok \\(pinned\\), ${ROUNDS + 1} sums not added up$`, 'm'))
  })

  test('unless the vectors that the coordinator withholds are at hand: then they are', async () => {
    await mkdir(at('vectors'))
    for (let round = 1; round <= ROUNDS + 1; round++)
      for (const [index, vector] of (await vectorsOf(round)).entries())
        await writeFile(at('vectors', `${round}-${index}.bin`), vector)
    const args = ['verify', at('bundle.car'), '--coordinator', key, '--vectors', at('vectors'), '--json']
    const { code, stdout } = await consilium(args)
    expect({ code, ...jsonLines(stdout)[0] }).toMatchObject({
      ...{ code: 0, ok: true, pinned: true },
      rounds: Array.from({ length: ROUNDS + 1 }, () => ({ vectors: 'recomputed' })),
    })
  })

  test('take no plain run: an honest coordinator offers none, and a lying one is refused by name', async () => {
    expect(refused).toMatchObject({ status: 422, pointer: { message: expect.stringMatching(/masked only/) } })
    for (const [change, reason] of [
      [{ population: 'hospital' }, 'masking-required'],
      [{}, 'foreign-population'],
    ] as const) {
      await using liar = await Liar.listen()
      const site = cluster.sites[0]
      if (!site) throw new Error('there are four hospitals')
      await using _ = await startNodeProcess(site, liar, { allow: at('hospitals.txt') })
      expect(await liar.invited(change)).toMatchObject({ kind: 'decline', reason })
    }
  }, 60_000)
})

describe('a hospital whose process is killed, and begins again', () => {
  test('in every phase of a session costs no round', () => {
    expect(killed).toEqual(MOMENTS)
    expect(taken.some(({ kind }) => kind === 'spoiled' || kind === 'recounted')).toBe(false)
  })

  test('has signed each thing once, and the coordinator has those very bytes or none', async () => {
    const cidIn: Partial<Record<Kind, (event: RunEvent) => string | undefined>> = {
      ShareKeys: (event) => (event.kind === 'dealt' ? event.keys : undefined),
      MaskedInput: (event) => (event.kind === 'reported' ? event.update : undefined),
      Confirm: (event) => (event.kind === 'confirmed' ? event.confirm : undefined),
      Unmask: (event) => (event.kind === 'unmasked' ? event.unmask : undefined),
    }
    const own = cluster.sites[0]?.id
    const heard: string[] = []
    for (let round = 1; round <= ROUNDS + 1; round++) {
      const said = await journal(round)
      for (const [type, cidOf] of Object.entries(cidIn)) {
        const signed = said.get(type) ?? []
        expect(signed.length).toBeLessThan(2)
        const cids = taken.flatMap((event) =>
          'round' in event && event.round === round && 'node' in event && event.node === own
            ? (cidOf(event) ?? [])
            : [],
        )
        if (cids.length > 0) expect(cids).toEqual(signed.map((one) => sealOf(one).seal.cid))
        heard.push(...cids.map(() => type))
      }
    }
    // It was a dropout where it had agreed and not masked, unless it masked before the signal came.
    const counted = (type: string) => heard.filter((one) => one === type).length
    expect(counted('ShareKeys')).toBe(ROUNDS + 1)
    expect([ROUNDS, ROUNDS + 1]).toContain(counted('MaskedInput'))
  })
})

async function* readable(stream: ReadableStream<Uint8Array>): AsyncIterable<Uint8Array> {
  for await (const piece of stream) yield new Uint8Array(piece)
}
