import { hkdfSha256, sha256 } from '#crypto'
import { compareBytes, concat, toHex, utf8 } from './bytes.ts'
import { digestOf } from './cid.ts'
import type { Bytes, Cid, NodeId, Round } from './ids.ts'
import { publicKeyOf } from './ids.ts'

/**
 * Every seed, named once. Nothing random depends on a run id or the time, so that the same task, data and secrets give
 * the same model. Each is HKDF-SHA256(secret, salt = "", info = "consilium/1 " ‖ purpose ‖ 00 ‖ context, 32 bytes).
 */
function derive(secret: Bytes, purpose: string, ...context: readonly Bytes[]): Bytes {
  const label = utf8(`consilium/1 ${purpose}\0`)
  return hkdfSha256(secret, new Uint8Array(0), concat(label, ...context), 32)
}

/** One tensor's initial values, public: `index` is the tensor's place in the model. */
export function genesisSeed(taskSeed: Bytes, index: number): Bytes {
  return derive(taskSeed, 'genesis', u64(index))
}

/**
 * Order of selection, public. From the incoming model rather than the parent manifest, whose run id would make the
 * cohort differ between two runs of one task; the round number lets a round after an aborted one try other nodes.
 */
export function cohortSeed(taskSeed: Bytes, model: Cid, round: Round): Bytes {
  return sha256(concat(utf8('consilium/1 cohort\0'), digestOf(model), taskSeed, u64(round)))
}

/**
 * The same for questions, whatever is asked and by whom: a site answers two of them only where the sets behind the answers
 * are the same or far apart (R5), so the sites to ask are drawn alike.
 */
export function askSeed(): Bytes {
  return sha256(utf8('consilium/1 ask cohort\0'))
}

/** Which rows of a task's public data a node without data of its own trains on: public, so that anybody can say which. */
export function shareSeed(taskSeed: Bytes, node: NodeId): Bytes {
  return derive(taskSeed, 'share', publicKeyOf(node))
}

/** Which rows a site holds out: the same ones in every round of a task. */
export function holdoutSeed(nodeSecret: Bytes, task: Cid): Bytes {
  return derive(nodeSecret, 'holdout', digestOf(task))
}

/** Which of its rows a site trains and tests on where it has more than the task takes: the same ones in every round. */
export function sampleSeed(holdoutSeed: Bytes): Bytes {
  return derive(holdoutSeed, 'sample')
}

/** Order of rows in training. */
export function shuffleSeed(nodeSecret: Bytes, task: Cid, round: Round): Bytes {
  return derive(nodeSecret, 'shuffle', digestOf(task), u64(round))
}

/** What dropout leaves out in training, apart from the order of rows. */
export function dropoutSeed(shuffleSeed: Bytes): Bytes {
  return derive(shuffleSeed, 'dropout')
}

/** Stochastic rounding: must stay private, or the rounding noise could be taken off again. */
export function quantiseSeed(nodeSecret: Bytes, task: Cid, round: Round): Bytes {
  return derive(nodeSecret, 'quantise', digestOf(task), u64(round))
}

/** The MAC key of upload tickets. */
export function ticketKey(coordinatorSecret: Bytes): Bytes {
  return derive(coordinatorSecret, 'ticket')
}

/**
 * The key of what is sent to a webhook endpoint: made of the endpoint's id, which has no space in it, and of how often its
 * secret was changed, so that it is kept nowhere.
 */
export function webhookKey(coordinatorSecret: Bytes, endpoint: string, version: number): Bytes {
  return derive(coordinatorSecret, 'webhook', utf8(version === 0 ? endpoint : `${endpoint} ${version}`))
}

/** What the API's keys and cookies are made from: all processes of one coordinator make the same. */
export function accessKey(coordinatorSecret: Bytes): Bytes {
  return derive(coordinatorSecret, 'access')
}

/** Demo only: a node's secret from the demo's seed. Anyone who knows the seed is that node. */
export function demoSecret(seed: Bytes, site: number): Bytes {
  return derive(seed, 'demo node', u64(site))
}

/** Demo only: the task's seed, and how the demo's own data are dealt to its sites. */
export function demoTaskSeed(seed: Bytes): Bytes {
  return derive(seed, 'demo task')
}

export function demoSplitSeed(seed: Bytes): Bytes {
  return derive(seed, 'demo split')
}

/** Rank in a draw of a node that has so many tickets, as hexadecimal text: its smallest hash. Smaller first. */
export function drawRank(seed: Bytes, node: NodeId, tickets: number): string {
  const lot = concat(seed, publicKeyOf(node), Uint8Array.of(0))
  let best = sha256(lot)
  for (let ticket = 1; ticket < tickets; ticket++) {
    lot[lot.length - 1] = ticket
    const rank = sha256(lot)
    if (compareBytes(rank, best) < 0) best = rank
  }
  return toHex(best)
}

function u64(value: number): Bytes {
  const out = new Uint8Array(8)
  new DataView(out.buffer).setBigUint64(0, BigInt(value))
  return out
}
