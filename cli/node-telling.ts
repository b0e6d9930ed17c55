import type { RunningNode } from '#client/node.ts'
import type { Progress } from '#client/progress.ts'
import { formatCredits } from '#protocol/amount.ts'
import type { NodeId } from '#protocol/ids.ts'
import { WORK } from '#protocol/work.ts'
import { backendFields, backendLines } from './backend.ts'
import type { Output } from './output.ts'
import { formatBytes, formatSeconds } from './render/units.ts'
import { trustFix } from './trust.ts'

/** What a node does, to whoever runs it: a line, or an event for a program. */
export function sayProgress(output: Output, made: Progress): void {
  if (output.json) return output.object(eventOf(made))
  if (output.quiet && made.kind !== 'failed') return
  output.line(`r${made.round}  ${textOf(made)}`)
  if (made.kind === 'failed' && made.reason.startsWith('data-contract')) output.line(ANOTHER_FILE)
}

const ANOTHER_FILE =
  '  mend the data and start the node again, which reads it once: a gap is an empty cell, and NaN, NA and words are text; ' +
  'docs/running-a-node.md has more'

/** Flat, snake_case, units in the names, money as text. */
function eventOf(made: Progress): object {
  const { kind, run, round } = made
  const base = { type: `node.${kind}`, run, round, time: new Date().toISOString() }
  switch (made.kind) {
    case 'joined':
      return base
    case 'seated':
      return { ...base, seat: made.seat, purpose: made.purpose }
    case 'training':
      return { ...base, epoch: made.epoch, epochs: made.epochs, loss: made.loss, ...sampleFields(made.sample) }
    case 'agreed':
      return { ...base, members: made.members }
    case 'masked':
      return { ...base, bytes: made.bytes }
    case 'recomputed':
      return { ...base, past_round: made.past, reports: made.reports }
    case 'reported':
      return { ...base, bytes: made.bytes, train_ms: made.trainMillis }
    case 'confirmed':
      return { ...base, survivors: made.survivors }
    case 'unmasked':
      return base
    case 'declined':
    case 'refused':
    case 'failed':
    case 'left':
      return { ...base, reason: made.reason }
    case 'ended':
      return { ...base, outcome: made.outcome }
    case 'paid':
      return { ...base, amount: made.amount.toString(), receipt: made.receipt }
  }
}

type Sample = Extract<Progress, { kind: 'training' }>['sample']

function sampleFields(sample: Sample): object {
  return sample ? { sample_rows: sample.rows, labelled_rows: sample.of } : {}
}

function sampleText(sample: Sample): string {
  return sample ? `  on ${sample.rows} of ${sample.of} rows, all that the task takes` : ''
}

function textOf(made: Progress): string {
  switch (made.kind) {
    case 'joined':
      return 'joined'
    case 'seated':
      return `seat ${made.seat}, ${WORK[made.purpose]}`
    case 'training':
      return `trained   epoch ${made.epoch}/${made.epochs}  loss ${made.loss.toFixed(4)}${sampleText(made.sample)}`
    case 'agreed':
      return `keys      shared by ${made.members} nodes, this one among them`
    case 'masked':
      return `masked    ${formatBytes(made.bytes)}`
    case 'recomputed':
      return `recomputed round ${made.past} from ${made.reports} masked vectors: its model is the one it should be`
    case 'reported':
      return `reported  ${formatBytes(made.bytes)} after ${formatSeconds(made.trainMillis)}`
    case 'confirmed':
      return `confirmed a sum of ${made.survivors} and no other`
    case 'unmasked':
      return `unmasked  that sum; nothing of this round is held any more`
    case 'declined':
      return `declined  ${made.reason}`
    case 'refused':
      return `refused   ${made.reason}`
    case 'failed':
      return `failed    ${made.reason}`
    case 'left':
      return `left      ${made.reason}`
    case 'ended':
      return `over      ${made.outcome}`
    case 'paid':
      return `paid      ${formatCredits(made.amount)} credits  receipt ${made.receipt}`
  }
}

/** Who it is, what it trains on and whom it is linked to. */
export function sayReady(
  output: Output,
  { id, backend, shareUrl }: RunningNode,
  { urls, coordinator }: { urls: readonly string[]; coordinator: NodeId },
): void {
  if (output.json)
    return output.object({
      type: 'node.ready',
      node: id,
      ...backendFields(backend),
      ...(shareUrl && { share: shareUrl }),
      url: urls[0],
      coordinator,
      pid: process.pid,
    })
  output.line(`node         ${id}`)
  for (const line of backendLines(backend)) output.line(line)
  output.line(`coordinator  ${urls.join(' or ')}  ${coordinator}`)
  if (shareUrl) output.line(`sharing      ${shareUrl}  with the other nodes of this site`)
}

type LinkState = 'linked' | 'lost' | 'refused' | 'wrong-coordinator' | 'unreachable'
const LINK_MEANS: Readonly<Record<LinkState, string>> = {
  linked: 'linked to',
  lost: 'link lost, trying again:',
  refused: 'the coordinator turned this node away, trying again:',
  'wrong-coordinator': 'another key than the pinned one answered, not talking to it:',
  unreachable: 'the coordinator cannot be reached, trying again:',
}

/** The link is tried again and again: only a change is news. */
export function linkTeller(output: Output): (state: LinkState, detail: string) => void {
  let last = ''
  return (state, detail) => {
    if (last === `${state} ${detail}`) return
    last = `${state} ${detail}`
    if (output.json) output.object({ type: 'node.link', state, detail })
    else if (!output.quiet) {
      output.line(`${LINK_MEANS[state]} ${detail}`)
      if (state === 'refused' && detail === 'not-admitted') output.line(NOT_ADMITTED)
      const fix = state === 'unreachable' ? trustFix(detail) : undefined
      if (fix) output.line(`  ${fix}`)
    }
  }
}

const NOT_ADMITTED =
  "  it knows no such node: whoever runs it adds this node's id to its --allow file and starts it again, or makes an " +
  'invite for consilium node join'
