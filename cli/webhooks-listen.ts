import { readFile } from 'node:fs/promises'
import { LOOPBACK } from '#client/sharing.ts'
import { webhookSecretOf } from '#coordinator/webhook-signature.ts'
import { endpointFields, isWanted } from '#coordinator/webhooks.ts'
import { randomBytes } from '#crypto'
import { SYSTEM_DOORS } from '#sdk/transport.ts'
import { feedOf, followAll } from './all-events.ts'
import { openApi } from './api-client.ts'
import { type Arguments, usage } from './arguments.ts'
import type { Call } from './command.ts'
import { checkPatterns } from './event-patterns.ts'
import { EXIT } from './failure.ts'
import { type ForwardingDoors, forward } from './forwarding.ts'
import { listenForStop } from './stopping.ts'
import { deliveryLine } from './webhooks-deliveries.ts'

/** `consilium webhooks listen`: what an endpoint would be told, to a receiver on this machine, for as long as this runs. */
export async function execute({ args, output }: Call): Promise<number> {
  const url = urlOf(args)
  const events = eventsOf(args)
  const given = await secretOf(args)
  const secret = given ?? webhookSecretOf(randomBytes(32))
  const api = await openApi(args)
  using stopping = listenForStop()
  const { signal } = stopping
  const opened = () => {
    const shown = given === undefined ? secret : null
    if (output.json) output.object({ type: 'webhooks.listening', forward: url.href, events, secret: shown })
    else if (shown !== null) output.line(`secret     ${shown}`)
    output.note(`${events.join(', ')} of all runs go to ${url.href} from now on; Ctrl-C ends`)
  }
  const doors: ForwardingDoors = { ...SYSTEM_DOORS, post: (...message) => post(url, ...message) }
  for await (const event of followAll(api.transport, feedOf(api), { signal, opened })) {
    if (!isWanted({ events }, event.type)) continue
    for await (const delivery of forward(event, secret, doors, signal))
      if (output.json) output.object(delivery)
      else output.line(deliveryLine(delivery))
  }
  return stopping.exit() ?? EXIT.ok
}

/** A redirect is an answer as another: it would lead where nobody said. */
async function post(
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
  signal: AbortSignal,
): Promise<number> {
  const answer = await fetch(url, { method: 'POST', headers, body, signal, redirect: 'manual' })
  await answer.body?.cancel()
  return answer.status
}

/** What runs tell is for whoever may read them: it leaves this machine where somebody says so. */
function urlOf(args: Arguments): URL {
  const text = args.required('forward', 'the address of a receiver, --forward http://localhost:3000/hook')
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password)
    throw usage('bad_value', `--forward is an http or https URL without a name or password in it, not ${text}`)
  if (LOOPBACK.has(url.hostname) || args.flag('any-host')) return url
  throw usage('not_loopback', `${url.host} is not this machine`, '--any-host, if what runs tell may go there')
}

function eventsOf(args: Arguments): readonly string[] {
  const types = args.texts('event')
  if (types.length === 0) return ['round.completed', 'run.*']
  checkPatterns('event', types)
  const events = endpointFields.events.safeParse(types)
  if (events.success) return events.data
  throw usage(
    'bad_value',
    `--event is a type of events, not ${types.join(', ')}`,
    "--event round.completed --event 'run.*'",
  )
}

/** By the file or the variable: never on a command line. @returns undefined where one is to be made up */
async function secretOf(args: Arguments): Promise<string | undefined> {
  const file = args.text('secret')
  const secret =
    file === undefined ? args.environment['CONSILIUM_WEBHOOK_SECRET'] : (await readFile(file, 'utf8')).trim()
  if (!secret) return undefined
  if (/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/.test(secret)) return secret
  throw usage(
    'bad_secret',
    'a secret of webhooks is whsec_ and 24 to 64 bytes in base64',
    'consilium webhooks create shows one',
  )
}
