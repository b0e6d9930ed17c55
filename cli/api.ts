import { openAsBlob } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { openApi } from './api-client.ts'
import { type Arguments, usage } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { listenForStop } from './stopping.ts'

const METHODS = ['GET', 'POST', 'PATCH', 'DELETE'] as const

/** `consilium api <METHOD> <path>`: any request of the API, its answer as it comes. */
export async function execute({ args, output }: Call): Promise<number> {
  const [first = '', second] = args.positionals
  const [verb, path] = second === undefined ? ['GET', first] : [first.toUpperCase(), second]
  const method = METHODS.find((known) => known === verb)
  if (!method) throw usage('bad_value', `${verb} is no method`, `one of ${METHODS.join(', ')}`)
  // What does not begin so would be a part of the host: the key would go elsewhere.
  if (!path.startsWith('/'))
    throw usage('bad_value', `a path begins with a slash, not ${path}`, `consilium api ${method} /${path}`)
  const fields = args.texts('field').map(fieldOf)
  const asksByQuery = method === 'GET'
  const query =
    asksByQuery && fields.length > 0
      ? new URLSearchParams(fields.map(([name, value]) => [name, asText(value)]))
      : undefined
  const body = await bodyOf(args, asksByQuery ? [] : fields)
  const api = await openApi(args)
  using stopping = listenForStop()
  const key = args.text('idempotency-key')
  const response = await api.transport.fetch(query ? `${path}${path.includes('?') ? '&' : '?'}${query}` : path, {
    method,
    signal: stopping.signal,
    ...(body === undefined ? {} : { body }),
    headers: {
      ...(body === undefined
        ? {}
        : { 'content-type': typeof body === 'string' ? 'application/json' : contentOf(args) }),
      ...(key === undefined ? {} : { 'idempotency-key': key }),
      ...(args.flag('stream') ? { accept: 'text/event-stream' } : {}),
    },
  })
  if (output.verbose) {
    output.note(`${response.status} ${response.statusText}`)
    for (const [name, value] of response.headers) output.note(`${name}: ${value}`)
  }
  if (response.body)
    await pipeline(response.body, process.stdout, { end: false, signal: stopping.signal }).catch((cause: unknown) => {
      if (!stopping.signal.aborted) throw cause
    })
  return stopping.exit() ?? EXIT.ok
}

type Field = readonly [name: string, value: unknown]

/** `name=value`; what is JSON is sent as that, anything else as text. */
function fieldOf(text: string): Field {
  const [, name, value = ''] = /^([^=]+)=(.*)$/s.exec(text) ?? []
  if (name === undefined) throw usage('bad_value', `--field is name=value, not ${text}`, '--field rounds=20')
  try {
    return [name, JSON.parse(value)]
  } catch {
    return [name, value]
  }
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

async function bodyOf(
  args: Arguments,
  fields: readonly Field[],
): Promise<string | Blob | Uint8Array<ArrayBuffer> | undefined> {
  const input = args.text('input')
  if (input === undefined) return fields.length === 0 ? undefined : JSON.stringify(Object.fromEntries(fields))
  if (fields.length > 0) throw usage('field_or_input', '--field and --input exclude each other', 'give one of them')
  return input === '-' ? new Uint8Array(await buffer(process.stdin)) : openAsBlob(input)
}

function contentOf(args: Arguments): string {
  return args.text('content-type') ?? 'application/json'
}
