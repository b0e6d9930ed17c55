import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { encodeLanes, HEADER_LANES, type RingVector } from '#aggregation/vector.ts'
import { startCoordinatorProcess } from '#cli/demo/federation.ts'
import { type Assignment, readAssignment } from '#client/assignment.ts'
import { participate } from '#client/participate.ts'
import { policyFor } from '#client/policy.ts'
import { sequenceFrom } from '#client/sequence.ts'
import { siteTerms } from '#client/site.ts'
import { dialFromNode } from '#client/transports/node-line.ts'
import { SocketLink } from '#client/transports/socket-link.ts'
import { randomBytes, sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'
import { signerOf } from '#protocol/envelope.ts'
import type { Bytes, Cid, NodeId } from '#protocol/ids.ts'
import type { Masking } from '#protocol/plan.ts'
import { Consilium } from '#sdk/client.ts'
import type { ApiEvent } from '#sdk/sse.ts'
import type { CreateRun } from '#sdk/task.ts'
import { plainLanes } from '#sim/audit.ts'
import { TOY_TASK, toyTrainer } from '#sim/toy.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { openRemoteBlobs } from '#storage/blobs/remote.ts'
import { systemClock } from '#storage/clock.ts'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { must } from '#test/aggregation/given.ts'
import { type Found, type Needles, scanFiles, scanMemory, whyUnreadable } from '#test/e2e/memory.ts'
import { temporaryFolder } from '#test/folder.ts'

/** 801 parameters: a vector is a few kilobytes, and travels with its message. */
const [HEIGHT, WIDTH] = [20, 40]
const PARAMETERS = HEIGHT * WIDTH + 1
const TASK = {
  ...TOY_TASK,
  architecture: {
    v: 1,
    input: [HEIGHT, WIDTH, 1],
    layers: [
      { layer: 'flatten', name: 'flatten' },
      { layer: 'dense', name: 'out', units: 1, activation: 'linear' },
    ],
  },
  data: { kind: 'image', height: HEIGHT, width: WIDTH, channels: 1, classes: 2, rowsMax: 1000 },
} as const
const NEEDLE_BYTES = 48
const SITES = [0, 1, 2, 3].map((site) => {
  const secret = sha256(utf8(`memory ${site}`))
  return { name: `site ${site}`, secret, signer: signerOf(secret), trainer: toyTrainer(site) }
})

/** Twelve coordinates side by side, from four places of a vector: a copy of it, or of most of it, has one of them. */
function needlesOf(vector: Bytes): readonly Bytes[] {
  const payload = vector.subarray(HEADER_LANES * 4, (HEADER_LANES + PARAMETERS) * 4)
  return [0, 0.3, 0.6, 0.9].map((share) => {
    const at = 4 * Math.floor(share * PARAMETERS)
    return payload.slice(at, at + NEEDLE_BYTES)
  })
}

/** What each site gives in this round, as it is before it is masked, and what all of them give together. */
async function plainOf(assignment: Assignment): Promise<{ readonly each: Needles; readonly sum: Needles }> {
  const lanes = await Promise.all(SITES.map((site) => plainLanes(site, assignment)))
  const sum = lanes.reduce((all, one): RingVector => all.map((value, lane) => value + (one[lane] as number)))
  return {
    each: new Map(lanes.map((one, site) => [`site ${site}`, needlesOf(encodeLanes(one))])),
    sum: new Map([['sum', needlesOf(encodeLanes(sum))]]),
  }
}

test('the coordinator’s process and its files never hold one site’s plain update in a masked round, and do hold the sum', async () => {
  await using folder = await temporaryFolder()
  const state = join(folder.path, 'coordinator')
  const ids = SITES.map(({ signer }) => signer.id)
  const started = await startCoordinatorProcess(state, ids, { graceMillis: 5000, own: (process) => process })
  await using coordinator = started.process
  const { url, key } = started
  const end = new AbortController()
  await using links = new AsyncDisposableStack()
  links.defer(() => end.abort())
  for (const site of SITES) takePart(site, { url, key, allowed: new Set(ids), links, signal: end.signal })
  const unreadable = await whyUnreadable(coordinator.pid)
  if (unreadable) process.stdout.write(`not scanned: memory of the coordinator (${unreadable}); its files are\n`)
  const api = new Consilium({ url: url, apiKey: await readFile(started.apiKeyFile, 'utf8') })
  const blobs = openRemoteBlobs({ url })
  const assignmentOf = async ({ plan }: ApiEvent) => must(await readAssignment(blobs, key, plan as Cid))

  /** While it is stopped: nothing moves in its memory, and no file is written, renamed or removed. */
  async function stopped(scan: () => Promise<Found>): Promise<Found> {
    coordinator.signal('SIGSTOP')
    try {
      return await scan()
    } finally {
      coordinator.signal('SIGCONT')
    }
  }
  const memory = (needles: Needles) => stopped(() => scanMemory(coordinator.pid, needles))
  const files = (needles: Needles) => stopped(() => scanFiles(state, needles))
  const launch = (seed: number, masking: Masking) =>
    api.runs.create({ ...request(masking), task: { ...TASK, seed: `0${seed}`.repeat(32) } } as CreateRun)

  const masked = await launch(1, 'secagg/1')
  const moments = ['keys.agreed', 'update.reported', 'session.surveyed', 'masks.answered', 'model.aggregated']
  const seen: string[] = []
  let plain: Awaited<ReturnType<typeof plainOf>> | undefined
  for await (const event of masked.events({ signal: AbortSignal.timeout(150_000) })) {
    if (event['round'] !== 1) continue
    if (event.type === 'round.opened') plain = await plainOf(await assignmentOf(event))
    if (!plain || event.type !== moments[seen.length]) continue
    seen.push(event.type)
    if (unreadable) continue
    // Of one moment: what is free may be written over as soon as the process goes on.
    const isSummed = event.type === 'model.aggregated'
    const found = await memory(isSummed ? new Map([...plain.each, ...plain.sum]) : plain.each)
    expect({ at: event.type, found: [...found.names] }).toEqual({ at: event.type, found: isSummed ? ['sum'] : [] })
    expect(found.scannedBytes).toBeGreaterThan(2 ** 24)
  }
  expect(seen).toEqual(moments)
  if (!plain) throw new Error('no round was opened')
  expect([...(await files(new Map([...plain.each, ...plain.sum]))).names]).toEqual(['sum'])

  // The control: a plain round gives every single update away, to the process and to its disk.
  const open = await launch(2, 'none')
  let given: Awaited<ReturnType<typeof plainOf>> | undefined
  for await (const event of open.events({ signal: AbortSignal.timeout(150_000) })) {
    if (event['round'] !== 1) continue
    if (event.type === 'round.opened') given = await plainOf(await assignmentOf(event))
    if (event.type !== 'model.aggregated' || !given) continue
    if (!unreadable) expect((await memory(given.each)).names.size).toBeGreaterThan(0)
    expect((await files(given.each)).names.size).toBe(SITES.length)
  }
  expect(given).toBeDefined()
}, 360_000)

function request(masking: Masking): Omit<CreateRun, 'task'> {
  const cohort = { min: 4, max: 4, quorum: 3 }
  return { rounds: 1, masking, cohort, timing: { selectionMillis: 60_000 }, failuresMax: 1, onFailures: 'end' }
}

type Around = {
  readonly url: string
  readonly key: NodeId
  readonly allowed: ReadonlySet<NodeId>
  readonly links: AsyncDisposableStack
  readonly signal: AbortSignal
}

/** A node in this process, on a real link. */
function takePart(site: (typeof SITES)[number], { url, key, allowed, links, signal }: Around): void {
  const sequence = sequenceFrom(() => Date.now())
  const terms = siteTerms('open', allowed)
  let ticket = ''
  const store = (reads?: 'withheld') => openRemoteBlobs({ url, ticket: () => ticket, ...(reads ? { reads } : {}) })
  const transport = links.use(
    new SocketLink({
      urls: [url],
      coordinator: key,
      dial: dialFromNode,
      signer: site.signer,
      sequence,
      report: () => undefined,
    }),
  )
  const doors = {
    ...{ ...site, transport, sequence, coordinator: key, blobs: store(), clock: systemClock },
    ...{ chance: randomBytes, policy: policyFor('open', 2, terms), site: terms, journal: openMemoryLog() },
    ...{ outbox: openMemoryBlobs(), withheld: store('withheld') },
    useTicket: (text: string) => {
      ticket = text
    },
  }
  void (async () => {
    for await (const _ of participate(doors, signal));
  })()
}
