import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { participate } from '#client/participate.ts'
import { policyFor } from '#client/policy.ts'
import type { Progress } from '#client/progress.ts'
import { sequenceFrom } from '#client/sequence.ts'
import { siteTerms } from '#client/site.ts'
import { SocketLink } from '#client/transports/socketio.ts'
import { randomBytes, sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { TOY_ARCHITECTURE, TOY_TASK, toyTrainer } from '#sim/toy.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openRemoteBlobs } from '#storage/blobs/remote.ts'
import { systemClock } from '#storage/clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { type Live, live, signer } from './live.ts'

/** Four weights a unit, and a bias: more than a block. */
const LARGE = {
  ...TOY_ARCHITECTURE,
  layers: [
    { layer: 'dense', name: 'hidden', units: BLOCK_BYTES_MAX / 16 + 1, activation: 'relu' },
    { layer: 'dense', name: 'out', units: 1, activation: 'linear' },
  ],
}

const MEMBERS = [0, 1, 2].map((site) => signer(`member ${site}`))

/** A hospital over the wire, until the run's evaluate round is over for it. @returns what it told */
async function takePart({ coordinator }: Live, site: number): Promise<readonly Progress[]> {
  await using doors = new AsyncDisposableStack()
  const self = MEMBERS[site] as (typeof MEMBERS)[number]
  const sequence = sequenceFrom(() => systemClock.now())
  const terms = siteTerms('hospital', new Set(MEMBERS.map(({ id }) => id)))
  const remote = { url: coordinator.url, ticket: () => shown }
  let shown: string | undefined
  const link = { urls: [coordinator.url], coordinator: coordinator.id, signer: self, sequence, report: () => undefined }
  const node = {
    ...{ transport: doors.use(new SocketLink(link)), coordinator: coordinator.id, signer: self, sequence },
    ...{ blobs: openRemoteBlobs(remote), withheld: openRemoteBlobs({ ...remote, reads: 'withheld' }) },
    ...{ secret: sha256(utf8(`site ${site}`)), trainer: toyTrainer(site), clock: systemClock, chance: randomBytes },
    ...{ site: terms, policy: policyFor('hospital', 2, terms), journal: openMemoryLog(), outbox: openMemoryBlobs() },
    useTicket: (ticket: string) => {
      shown = ticket
    },
  }
  const told: Progress[] = []
  const stop = new AbortController()
  doors.defer(() => stop.abort())
  for await (const made of participate(node, stop.signal)) {
    told.push(made)
    if (made.kind === 'ended' && made.round === 2) break
  }
  return told
}

/** Blocks of a store that are files: those of more than 64 KiB, as the leaves of a vector are. */
async function filesOf({ state }: Live, store: string): Promise<readonly string[]> {
  const files = await readdir(join(state, store, 'blocks'), { recursive: true, withFileTypes: true })
  return files.filter((file) => file.isFile()).map(({ name }) => name)
}

test('hospitals that are asked nothing else withhold their vectors: members redo the rounds, each with its own ticket, and no block of a vector is ever in the public store', async () => {
  await using server = await live()
  const taking = [0, 1, 2].map((site) => takePart(server, site))
  const timing = {
    ...{ selectionMillis: 5000, keysMillis: 10_000, reportingMillis: 20_000, consistencyMillis: 5000 },
    ...{ unmaskingMillis: 5000, aggregationMillis: 20_000, settlementMillis: 5000 },
  }
  await server.launch({
    ...{ task: { ...TOY_TASK, architecture: LARGE }, timing, population: 'hospital' },
    secure: { suite: 1, corrupt: 1 },
    cohort: { min: 3, max: 3, quorum: 3 },
  })
  for (const told of await Promise.all(taking)) {
    const second = told.filter(({ round }) => round === 2)
    // Keys are agreed on and rounds redone at the same time.
    expect(second.map(({ kind }) => kind).filter((kind) => kind !== 'agreed')).toEqual([
      ...['joined', 'seated', 'recomputed', 'masked', 'reported', 'confirmed', 'unmasked', 'ended'],
    ])
    expect(second.at(-1)).toMatchObject({ outcome: 'closed' })
  }
  // Nothing is deleted from either store before its time, so that this is all there ever was.
  const [open, withheld] = [new Set(await filesOf(server, 'blobs')), await filesOf(server, 'withheld')]
  expect(withheld.length).toBeGreaterThanOrEqual(3)
  expect(withheld.filter((name) => open.has(name))).toEqual([])
  for (const name of withheld) {
    const answer = await fetch(`${server.coordinator.url}/ipfs/${name}?format=raw`)
    expect(answer.status).toBe(404)
  }
}, 60_000)
