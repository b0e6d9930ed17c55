import { toHex } from '#protocol/bytes.ts'
import type { Block, Signer } from '#protocol/envelope.ts'
import type { Bytes, Millis, NodeId } from '#protocol/ids.ts'
import { type ClientMessage, say } from '#protocol/messages.ts'
import type { Clock, CoordinatorTransport } from '#protocol/ports.ts'
import { REPETITION_EPOCHS, type ReferenceModel } from '#protocol/reference-models.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import {
  type Claim,
  decodeCurve,
  isAsFast,
  isSameCurve,
  observedSpeed,
  repetitionsFor,
  type Verdict,
  waitedMillis,
} from '#protocol/spot-check.ts'
import { type Capabilities, type Capable, isStale, standingOfAll } from './capabilities.ts'
import type { Datasets } from './datasets.ts'
import type { Inquiries } from './inquiries.ts'
import type { Duty } from './keeper.ts'
import { untilAborted, within } from './pause.ts'

/** Trains these repetitions of a reference model here. @returns the losses of each, in nats, epoch by epoch */
export type Recompute = (
  model: ReferenceModel,
  seed: Bytes,
  repetitions: readonly number[],
  signal: AbortSignal,
) => Promise<readonly (readonly number[])[]>

export type SpotCheckDoors = {
  readonly capabilities: Capabilities
  readonly transport: Pick<CoordinatorTransport, 'linked' | 'send'>
  readonly signer: Signer
  readonly clock: Clock
  /** So many bytes that no node can foresee. */
  readonly chance: (lengthBytes: number) => Bytes
  readonly recompute: Recompute
  /** Who is in a round now, and so has no time for a check. */
  readonly inRounds: () => ReadonlySet<NodeId>
  /** Then a node would be found slow for our own sake. */
  readonly isOverloaded: () => boolean
  readonly rule: SpotCheckRule
}

export type SpotCheckRule = {
  /** Nodes that say they are a hospital's are let be unless the operator wants them checked, too. */
  readonly population: 'open' | 'all'
  /** How often it is drawn who is checked. */
  readonly turnMillis: Millis
  /** Between two checks of one node, on the average: the draw has no memory, so nobody sees one coming. */
  readonly meanMillis: Millis
  /** The same of a node whose claims nobody has tested yet, or of which one has failed: it may be mended. */
  readonly uncheckedMeanMillis: Millis
}

export const SPOT_CHECKS: SpotCheckRule = {
  ...{ population: 'open', turnMillis: 60_000, meanMillis: 86_400_000, uncheckedMeanMillis: 3_600_000 },
}

/** Repetitions that are redone here: of a node that left out half of them one in sixteen gets through, once. */
const REDONE = 4

type Said = Extract<ClientMessage, { kind: 'measured' | 'busy' }>
/** What a node says of itself, and of no round. @param attached blocks that came along */
export type HearNode = (
  node: NodeId,
  said: Said | Extract<ClientMessage, { kind: 'capability' | 'dataset' | 'considered' }>,
  attached: readonly Block[],
) => Promise<Result<unknown>>

type Model = { readonly model: ReferenceModel }
type Answer = {
  readonly curve: Bytes
  readonly trainMillis: Millis
  /** By our clock, from asking to answer. */
  readonly elapsedMillis: Millis
}
type Asked = {
  readonly seed: string
  readonly answer: PromiseWithResolvers<Answer | 'busy'>
  readonly at: Millis
}

/**
 * Asks nodes, at times that they cannot foresee, to train something that nobody could have trained before, and holds the
 * answer against the same training done here. One node at a time: it is a duty of the keeper, and no round waits for it.
 */
export class SpotChecks {
  readonly #doors: SpotCheckDoors
  readonly #asked = new Map<NodeId, Asked>()

  constructor(doors: SpotCheckDoors) {
    this.#doors = doors
  }

  /** What a node says to a check; to one that is over, or another's, it is refused. */
  hear(node: NodeId, said: Said, attached: readonly Block[]): Result<void, 'no-check' | 'block-missing'> {
    const asked = this.#asked.get(node)
    if (!asked || asked.seed !== toHex(said.seed)) return refuse('no-check')
    if (said.kind === 'busy') asked.answer.resolve('busy')
    else {
      const curve = attached.find(({ cid }) => cid === said.curve)?.bytes
      if (!curve) return refuse('block-missing', `${said.curve} did not come along`)
      const { trainMillis } = said
      asked.answer.resolve({ curve, trainMillis, elapsedMillis: this.#doors.clock.now() - asked.at })
    }
    this.#asked.delete(node)
    return accept(undefined)
  }

  /** Who is checked now, if anybody: of those that the draw falls on, one. */
  async turn(signal: AbortSignal): Promise<void> {
    const { capabilities, transport, clock, rule, isOverloaded, inRounds } = this.#doors
    if (isOverloaded()) return
    const now = clock.now()
    const linked = new Set(transport.linked())
    const seated = inRounds()
    const known = await capabilities.select(
      (one) => linked.has(one.node) && !seated.has(one.node) && !isStale(one, now),
    )
    const drawn = known.filter((one) => {
      const mean = standingOfAll(one) === 'confirmed' ? rule.meanMillis : rule.uncheckedMeanMillis
      return (rule.population === 'all' || one.report.population === 'open') && this.#draw(mean) < rule.turnMillis
    })
    const one = drawn[this.#draw(drawn.length)]
    if (one) await this.check(one, signal)
  }

  /** Checks one claim of a node, and notes what came of it. */
  async check({ node, report }: Pick<Capable, 'node' | 'report'>, signal: AbortSignal): Promise<void> {
    const { capabilities, chance, inRounds } = this.#doors
    const claims = report.speeds.flatMap(({ model, milliSamplesPerSecond }) => {
      const repetitions = repetitionsFor(milliSamplesPerSecond)
      return repetitions === undefined ? [] : [{ model, milliSamplesPerSecond, repetitions }]
    })
    const claim = claims[this.#draw(claims.length)]
    if (!claim) return
    const seed = chance(32)
    const answer = await this.#ask(node, claim, seed, signal)
    if (signal.aborted || !answer) return
    // For a round of ours it is busy on our behalf.
    if (answer === 'put-off') return inRounds().has(node) ? undefined : capabilities.note(node, 'put-off')
    const { model, milliSamplesPerSecond: claimedMilli } = claim
    const base = { model, claimedMilli }
    if (answer === 'late')
      return capabilities.note(node, {
        ...{ ...base, verdict: 'unanswered', observedMilli: null, elapsedMillis: null, trainMillis: null },
      })
    const { trainMillis, elapsedMillis } = answer
    const verdict = await this.#judge(claim, seed, answer, signal)
    const observedMilli = observedSpeed(claim, elapsedMillis)
    await capabilities.note(node, { ...base, verdict, observedMilli, elapsedMillis, trainMillis })
  }

  async #ask(node: NodeId, claim: Claim & Model, seed: Bytes, signal: AbortSignal) {
    const { clock, transport, signer } = this.#doors
    const { model, repetitions } = claim
    const millis = waitedMillis(claim)
    const at = clock.now()
    const asked: Asked = { seed: toHex(seed), answer: Promise.withResolvers(), at }
    this.#asked.set(node, asked)
    try {
      await transport.send(node, say(signer, { kind: 'measure', model, seed, repetitions, closesAt: at + millis }))
      let answered: Answer | 'busy' | undefined
      const heard = asked.answer.promise.then((answer) => {
        answered = answer
      })
      await within(clock, millis, untilAborted(heard, signal))
      if (signal.aborted) return undefined
      // Whoever is not there any more may have lost its link, or want to be asked something else: the next draw tells.
      if (!answered) return transport.linked().includes(node) ? 'late' : 'put-off'
      return answered === 'busy' ? 'put-off' : answered
    } finally {
      this.#asked.delete(node)
    }
  }

  /** The numbers first: what is wrong is wrong at any speed. */
  async #judge(
    claim: Claim & Model,
    seed: Bytes,
    { curve, elapsedMillis }: Answer,
    signal: AbortSignal,
  ): Promise<Verdict> {
    const { model, repetitions } = claim
    const losses = decodeCurve(curve, claim)
    if (!losses) return 'wrong'
    const redone = [...new Set(Array.from({ length: REDONE }, () => this.#draw(repetitions)))]
    const computed = await this.#doors.recompute(model, seed, redone, signal)
    const toldOf = (at: number) => losses.slice(at * REPETITION_EPOCHS, (at + 1) * REPETITION_EPOCHS)
    if (!redone.every((at, index) => isSameCurve(toldOf(at), computed[index] ?? []))) return 'wrong'
    return isAsFast(claim, elapsedMillis) ? 'confirmed' : 'slower'
  }

  /** A whole number below `below`, all of them alike. */
  #draw(below: number): number {
    const bytes = this.#doors.chance(4)
    return Math.floor((new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0) / 2 ** 32) * below)
  }
}

export function listening(doors: {
  readonly capabilities: Capabilities
  readonly checks: SpotChecks
  readonly datasets: Datasets
  readonly inquiries: Inquiries
}): HearNode {
  const { capabilities, checks, datasets, inquiries } = doors
  return async (node, said, attached) => {
    if (said.kind === 'dataset') return datasets.hear(node, said, attached)
    if (said.kind === 'considered') return inquiries.hear(node, said)
    if (said.kind !== 'capability') return checks.hear(node, said, attached)
    const { kind: _, to: _to, seq, ...report } = said
    return capabilities.report(node, seq, report)
  }
}

/** A turn may last as long as a node takes to answer: it holds up nobody. */
export function spotChecking(checks: SpotChecks, { turnMillis }: SpotCheckRule): Duty {
  return { name: 'spot-check nodes', everyMillis: turnMillis, perform: (signal) => checks.turn(signal) }
}
