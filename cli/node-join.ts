import { createInterface } from 'node:readline/promises'
import type { z } from 'zod'
import { nodeSecret } from '#client/node.ts'
import { LOOPBACK } from '#client/sharing.ts'
import type { acceptedView } from '#coordinator/api/federation-schemas.ts'
import { signerOf } from '#protocol/envelope.ts'
import { fingerprintOf } from '#protocol/fingerprint.ts'
import { type NodeId, parseNodeId } from '#protocol/ids.ts'
import { parseCode, stateAcceptance } from '#protocol/invite.ts'
import type { Consilium } from '#sdk/client.ts'
import { apiAt } from './api-client.ts'
import { type Arguments, usage } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT, Failure } from './failure.ts'
import type { Output } from './output.ts'
import { nodeState } from './state.ts'

type Accepted = z.output<typeof acceptedView>

/** `consilium node join <code>`: nothing is told to a coordinator before somebody has said that it is the right one. */
export async function execute({ args, output }: Call): Promise<number> {
  const code = parseCode(args.positionals[0] as string)
  if (!code.ok) throw usage('bad_code', `this is no invite code: ${code.detail ?? code.refusal}`)
  const url = urlOf(args)
  const api = apiAt(url, undefined)
  const coordinator = await coordinatorOf(api)
  await confirm(args, output, url, coordinator)
  const state = nodeState(args)
  const signer = signerOf(await nodeSecret(state))
  const statement = stateAcceptance(signer, { to: coordinator, code: code.value, at: Date.now() })
  const json = { code: code.value, statement: Buffer.from(statement).toString('base64') }
  const accepted = await api.transport.json<Accepted>('/v1/invites/accept', { method: 'POST', json })
  if (output.json) {
    output.object({ ...{ node: signer.id, state, coordinator, url }, ...accepted })
    return EXIT.ok
  }
  output.line(`node         ${signer.id}  its key is in ${state} and never leaves it`)
  output.line(
    `member of    ${accepted.name}  ${accepted.federation}${accepted.operator ? `  as ${accepted.operator}` : ''}`,
  )
  const folder = args.text('state') === undefined ? '' : ` --state ${state}`
  output.note('nothing of your data has been read or told. Next:')
  output.note(
    `  consilium node up${folder} --coordinator ${url} --coordinator-key ${coordinator} --data <file> --population <kind>`,
  )
  return EXIT.ok
}

/** A code is as good as a key until it is taken. */
function urlOf(args: Arguments): string {
  const text = args.text('coordinator') ?? ''
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw usage('bad_value', `--coordinator is an http or https URL, not ${text}`)
  const { protocol, hostname, host } = new URL(text)
  if (protocol === 'https:' || LOOPBACK.has(hostname)) return text.replace(/\/+$/, '')
  throw usage('no_tls', `refusing to talk to ${host} without TLS`, 'use https://')
}

async function coordinatorOf(api: Consilium): Promise<NodeId> {
  const id = parseNodeId((await api.coordinator()).id)
  if (id.ok) return id.value
  throw new Failure(EXIT.unexpected, 'bad_answer', 'the coordinator says no key of its own')
}

async function confirm(args: Arguments, output: Output, url: string, coordinator: NodeId): Promise<void> {
  const pinned = args.text('coordinator-key')
  if (pinned !== undefined && pinned !== coordinator)
    throw new Failure(EXIT.denied, 'wrong_coordinator', `${url} has the key ${coordinator}, and not the pinned one`, {
      fix: 'somebody may be in between: ask whoever invited you for the address and the key',
    })
  if (!output.json) {
    output.line(`coordinator  ${url}  ${coordinator}`)
    output.line(`fingerprint  ${fingerprintOf(coordinator)}`)
  }
  if (pinned !== undefined || args.flag('yes')) return
  if (output.json || !process.stdin.isTTY)
    throw usage(
      'not_confirmed',
      `nobody has said that this is the right coordinator: ${fingerprintOf(coordinator)}`,
      'compare its fingerprint by telephone, then --yes; or give its key as --coordinator-key',
    )
  const prompt = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await prompt.question('Compare these words by telephone. The same words? [y/N] ')
    if (/^y(es)?$/i.test(answer.trim())) return
  } finally {
    prompt.close()
  }
  throw new Failure(EXIT.denied, 'not_confirmed', 'other words: nothing was sent', {
    fix: 'ask whoever invited you for the right address',
  })
}
