import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { collect } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { type Bytes, type NodeId, parseNodeId } from '#protocol/ids.ts'
import { type Question, questionSchema } from '#protocol/question.ts'
import { DATA_LACKS } from '#protocol/refusals.ts'
import type { Run } from '#sdk/runs.ts'
import { type ApiEvent, isLast } from '#sdk/sse.ts'
import { fileOf } from '#verify/bundle.ts'
import type { Pins } from '#verify/run.ts'
import { type Proof, unaddedIn } from '#verify/verdict.ts'
import { verifyBundle } from '#verify/verify.ts'
import { openApi } from './api-client.ts'
import { type Arguments, usage } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT, Failure } from './failure.ts'
import type { Output } from './output.ts'
import { parseQuestion, questionOf } from './question.ts'
import { runIdIn } from './record-source.ts'
import { answerData, answerLines } from './render/answer.ts'
import { isWaiting, runPaused } from './runs-watch.ts'
import { Declined } from './site-rules.ts'
import { listenForStop } from './stopping.ts'

/**
 * `consilium stats ask`: asks, waits, fetches the record and verifies it. What is printed is the answer as it was
 * recomputed here, to the question as it was put here; the coordinator's word is not taken for it.
 */
export async function execute({ args, output }: Call): Promise<number> {
  const question = await asked(args)
  const pinned = keyOf(args)
  const api = await openApi(args)
  const population = args.oneOf('population', ['open', 'hospital'])
  const { id } = await api.stats.ask({ question, population }, { idempotencyKey: args.text('idempotency-key') })
  const run = await api.runs.get(id)
  output.note(`${id}  ${question.name}`)
  using stopping = listenForStop()
  const declined = new Declined()
  const end = await watch(run, output, { signal: stopping.signal, declined })
  if (end === undefined) return stopping.exit() ?? EXIT.unexpected
  if (end.type === 'run.failed') throw declined.denied(question.minCohort) ?? noAnswer(id, end)
  if (end.type !== 'run.completed') throw noAnswer(id, end)
  const record = await collect(await run.bundle(), RECORD_BYTES_MAX)
  const proof = await prove(record, question, {
    asked: { run: runIdIn(run, api.transport.url) },
    ...(pinned && { coordinator: pinned }),
  })
  if (output.json) output.object({ ...answerData(question, proof.answer), ...recordData(proof) })
  else
    for (const line of [...answerLines(question, proof.answer, output.out), '', ...recordLines(proof)])
      output.line(line)
  return EXIT.ok
}

function noAnswer(id: string, { reason }: ApiEvent): Failure {
  const lack = DATA_LACKS.find((lack) => String(reason).includes(lack))
  const fix = lack
    ? LACKS[lack]
    : `consilium runs show ${id} tells its rounds; do enough sites answer questions of these cells?`
  return new Failure(EXIT.runFailed, 'no_answer', `${id} has no answer: ${String(reason)}`, { fix })
}

/** What sites find when they count, and what to ask instead. */
const LACKS: Readonly<Record<(typeof DATA_LACKS)[number], string>> = {
  'no-column': 'ask about a column that the sites have: consilium datasets ls lists what they publish',
  'text-column': 'ask about a column of numbers',
  'too-few-rows': 'lower --min-cell, as far as the rules of the sites allow',
  'too-few-values': 'lower --min-cell, as far as the rules of the sites allow; or ask about another column',
}

async function asked(args: Arguments): Promise<Question> {
  const file = args.text('question')
  if (file === undefined) return questionOf(args)
  return parseQuestion(file, file === '-' ? await text(process.stdin) : await readFile(file, 'utf8'))
}

function keyOf(args: Arguments): NodeId | undefined {
  const key = args.text('coordinator-key')
  const id = key === undefined ? undefined : parseNodeId(key)
  if (id && !id.ok) throw usage('bad_value', `--coordinator-key is a key, z6Mk…, not ${key}`)
  return id?.value
}

/** @returns the last event; undefined where watching was ended before */
async function watch(
  run: Run,
  output: Output,
  { signal, declined }: { readonly signal: AbortSignal; readonly declined: Declined },
): Promise<ApiEvent | undefined> {
  for await (const event of run.events({ signal })) {
    declined.follow(event)
    const said = noteOf(event)
    if (said !== undefined) output.note(said)
    if (await isWaiting(run, event)) throw runPaused(event)
    if (isLast(event)) return event
  }
  return undefined
}

function noteOf(event: ApiEvent): string | undefined {
  switch (event.type) {
    case 'round.opened':
      return `asked     ${String(event['invited'])} sites`
    case 'node.declined':
      return `declined  ${String(event['node'])}: ${String(event['reason'])}`
    case 'node.left':
      return `left      ${String(event['node'])}: ${String(event['reason'])}`
    case 'session.enrolled':
      return `joined    ${String(event['members'])} sites, keys are being shared`
    case 'session.surveyed':
      return 'counted   every site that is left; they confirm the set'
    case 'session.certified':
      return 'confirmed the set, and masks come off its sum'
    case 'round.aborted': {
      const last =
        event['cause'] === 'declined' ? ` (declined by ${event['node']}: ${event['node_reason']}, the last)` : ''
      return `aborted   ${String(event['reason'])}${last}`
    }
    default:
      return undefined
  }
}

/** A question's record is small: manifests, sessions, and at most 128 vectors of some thousand lanes. More is a fault. */
const RECORD_BYTES_MAX = 64 * 1024 * 1024

type Answered = Proof & { readonly answer: NonNullable<Proof['answer']> }

/** Throws unless the record holds, is that of the run, and is about this very question. */
async function prove(record: Bytes, question: Question, pins: Pins): Promise<Answered> {
  const verdict = await verifyBundle(fileOf(record), pins)
  if (!verdict.ok)
    throw new Failure(EXIT.unverified, 'not_verified', `the record does not hold at ${verdict.step}: ${verdict.detail}`)
  const wanted = cidOf(DAG_CBOR, encode(questionSchema, question))
  const { answer, task } = verdict
  if (task.cid !== wanted || answer === null)
    throw new Failure(EXIT.unverified, 'another_question', `the record is about ${task.cid}, asked was ${wanted}`)
  return { ...verdict, answer }
}

function recordLines(proof: Answered): readonly string[] {
  const { root, nodes, pinned } = proof
  const sum = isRecomputed(proof)
    ? 'recomputed from the masked vectors'
    : 'as the coordinator signed it: of the masked vectors only hashes are public'
  return [
    ...nodes.map((node, index) => `${index === 0 ? 'sites' : '     '}    ${node}`),
    `sum      ${sum}`,
    `record   ${root}`,
    `verify   ok${pinned ? ' (pinned)' : ', unpinned: --coordinator-key <z6Mk…> pins who signed it'}`,
  ]
}

function recordData(proof: Answered): object {
  const { run, task, root, coordinator, pinned, nodes } = proof
  return { run, question: task.cid, nodes, recomputed: isRecomputed(proof), record: root, coordinator, pinned }
}

function isRecomputed({ rounds }: Proof): boolean {
  return unaddedIn(rounds).length === 0
}
