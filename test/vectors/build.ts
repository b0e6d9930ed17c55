import { allocate, roundBudget, roundPayouts } from '#payments/allocate.ts'
import { concat, toHex, utf8 } from '#protocol/bytes.ts'
import { cidOf, digestOf, RAW } from '#protocol/cid.ts'
import { differenceOf } from '#protocol/difference.ts'
import { frameOf, sealOf, signerOf } from '#protocol/envelope.ts'
import { type Cid, type NodeId, publicKeyOf } from '#protocol/ids.ts'
import { sign } from '#protocol/messages.ts'
import { rankPlaces } from '#protocol/rendezvous.ts'
import {
  cohortSeed,
  demoSecret,
  dropoutSeed,
  genesisSeed,
  holdoutSeed,
  quantiseSeed,
  sampleSeed,
  shareSeed,
  shuffleSeed,
  ticketKey,
} from '#protocol/seeds.ts'
import { issueTicket } from '#protocol/ticket.ts'
import { fileUnder } from '#test/verify/store.ts'
import { drawVector } from './draw.ts'
import { fileVector } from './file.ts'
import { inviteVector } from './invite.ts'
import { buildMaskedRun } from './masked-run.ts'
import { movingVector } from './moving.ts'
import { referenceVector } from './reference.ts'
import { buildRun, coordinator, nodes, Recorder, runId, secretOf, taskSeed } from './run.ts'
import { labelsVector, scoresVector } from './scores.ts'
import { secaggSession, secaggVectors } from './secagg.ts'
import { statisticsVector } from './statistics.ts'

/**
 * The specification's test vectors, computed from their inputs: a whole run of two nodes, one training round and one
 * evaluate round, small enough to follow by hand. `node test/vectors/build.ts` writes them again. A page of a browser
 * computes them, too, so that nothing here but the writing is Node's.
 */
export async function buildVectors() {
  const record = new Recorder()
  const run = await buildRun(record)
  const recordOfMasked = new Recorder()
  const masked = await buildMaskedRun(recordOfMasked)
  return {
    vectors: {
      identity: identity(),
      envelope: envelope(),
      seeds: seeds(run.task),
      draw: drawVector(),
      payment: payment(),
      ticket: ticket(),
      file: fileVector(),
      difference: difference(),
      reference: referenceVector(),
      ...run.vectors,
      moving: await movingVector(),
      scores: scoresVector(),
      labels: labelsVector(),
      'masked-run': masked.vectors,
      secagg: secaggVectors(),
      'secagg-session': await secaggSession(),
      statistics: statisticsVector(),
      invite: inviteVector(),
    },
    blocks: record.blocks,
    root: run.root,
    masked: { blocks: recordOfMasked.blocks, root: masked.root },
    coordinator: coordinator.id,
  }
}

/** Weights that a sum moved by steps, one that something else moved as well, and one that is no number. */
function difference() {
  const words = (bits: readonly number[]) => new Uint8Array(Uint32Array.from(bits).buffer)
  const parent = words([0x3f800000, 0xbf000000, 0x00000000, 0x3dcccccd, 0x7fc00000])
  const next = words([0x3f808000, 0xbf00c000, 0xbb000000, 0x3dcecccf, 0x7fc00001])
  const grid = { unit: 2 ** -8, offset: 2 ** -9 }
  const places = ['http://a.example:7412', 'http://b.example:7412', 'http://c.example:7412']
  const leaf = cidOf(RAW, next)
  return {
    ...{ parent: toHex(parent), next: toHex(next), ...grid },
    difference: toHex(differenceOf({ parent, next, grid })),
    rendezvous: { leaf, places, ranked: rankPlaces(leaf, places) },
  }
}

function identity() {
  return {
    secretKey: toHex(secretOf(2)),
    publicKey: toHex(publicKeyOf(signerOf(secretOf(2)).id)),
    nodeId: signerOf(secretOf(2)).id,
    runId,
    rawCidOfNoBytes: 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku' as Cid,
  }
}

function envelope() {
  const message = { kind: 'join', to: coordinator.id, seq: 5, run: runId, round: 1, advert: null } as const
  const signed = sign(signerOf(secretOf(2)), message)
  const { seal, body } = sealOf(signed)
  const block = { cid: cidOf(RAW, utf8('a block')), bytes: utf8('a block') }
  const signedBytes = concat(utf8('consilium/1 sig\0join\0'), digestOf(body.cid))
  return {
    secretKey: toHex(secretOf(2)),
    message,
    body: toHex(signed.body),
    signed: toHex(signedBytes),
    signature: toHex(signed.signature),
    frame: toHex(frameOf(signed)),
    block: { cid: block.cid, bytes: toHex(block.bytes) },
    frameWithBlock: toHex(frameOf(signed, [block])),
    bodyCid: body.cid,
    seal: toHex(seal.bytes),
    sealCid: seal.cid,
  }
}

function seeds(task: Cid) {
  const secret = secretOf(2)
  return {
    taskSeed: toHex(taskSeed),
    nodeSecret: toHex(secret),
    task,
    round: 1,
    genesis: toHex(genesisSeed(taskSeed, 0)),
    cohort: toHex(cohortSeed(taskSeed, task, 1)),
    holdout: toHex(holdoutSeed(secret, task)),
    sample: toHex(sampleSeed(holdoutSeed(secret, task))),
    shuffle: toHex(shuffleSeed(secret, task, 1)),
    dropout: toHex(dropoutSeed(shuffleSeed(secret, task, 1))),
    quantise: toHex(quantiseSeed(secret, task, 1)),
    share: toHex(shareSeed(taskSeed, signerOf(secret).id)),
    ticket: toHex(ticketKey(secret)),
    demoSite0: toHex(demoSecret(secret, 0)),
  }
}

function ticket() {
  const key = ticketKey(secretOf(1))
  const fields = {
    run: runId,
    round: 1,
    seat: 0,
    sizeBytes: 80,
    publish: 'full',
    expiresAt: 1_700_000_060_000,
  } as const
  return { coordinatorSecret: toHex(secretOf(1)), key: toHex(key), fields, ticket: issueTicket(key, fields) }
}

function payment() {
  const weighted = allocate(
    100n,
    nodes.map((payee, index) => ({ payee, weight: BigInt(index + 1) })),
  )
  return {
    budget: '1000001',
    planned: 3,
    roundParts: [1, 2, 3].map((round) => roundBudget([{ rounds: 3, budget: 1_000_001n }], round).toString()),
    round1: payoutsOf(roundPayouts([{ rounds: 3, budget: 1_000_001n }], 1, nodes)),
    weights1And2Of100: payoutsOf(weighted),
  }
}

function payoutsOf(payouts: readonly { readonly payee: NodeId; readonly amount: bigint }[]) {
  return payouts.map(({ payee, amount }) => ({ payee, amount: amount.toString() }))
}

if (import.meta.main) {
  const { writeFileSync } = await import('node:fs')
  const { vectors, masked } = await buildVectors()
  for (const [name, value] of Object.entries(vectors))
    writeFileSync(
      new URL(`${name}.json`, import.meta.url),
      `${JSON.stringify(value, null, 2)}
`,
    )
  writeFileSync(new URL('masked-run.car', import.meta.url), await fileUnder(masked.root, masked.blocks))
}
