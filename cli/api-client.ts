import { Consilium } from '#sdk/client.ts'
import { ConnectionError } from '#sdk/errors.ts'
import { type Answer, type ConsiliumOptions, Transport } from '#sdk/transport.ts'
import { answered, badAnswer } from './answers.ts'
import { type Arguments, usage } from './arguments.ts'
import { dryRun } from './command.ts'
import { apiKey } from './state.ts'
import { Unsent } from './unsent.ts'

/** The coordinator's API as a command asks it: by its own key, for as long as it is told to wait. */
export async function openApi(args: Arguments): Promise<Consilium> {
  const url = coordinatorUrl(args)
  const seconds = args.text('timeout') === undefined ? 0 : args.integer('timeout', { min: 0, max: 86_400 })
  // Of run it is something else: the coordinator is asked what such a run would be.
  const isDry = args.command.options.includes(dryRun) && args.flag('dry-run')
  return apiAt(url, await apiKey(args, url), { timeoutMs: 1000 * seconds, isDry })
}

/** Where the coordinator is: what anybody may read there needs no more. */
export function coordinatorUrl(args: Arguments): string {
  const url = args.text('coordinator') ?? ''
  if (URL.canParse(url)) return url
  throw usage('bad_value', `--coordinator is a URL, not ${url}`)
}

/**
 * @param url `http(s)://host:port`
 * @param key undefined for what anybody may ask
 */
export function apiAt(url: string, key: string | undefined, { timeoutMs = 0, isDry = false }: Manner = {}): Consilium {
  // Whoever types a command is told at once.
  const options = { url, ...(key !== undefined && { apiKey: key }), maxRetries: 0, timeoutMs }
  return new Consilium(options, new CommandTransport(options, isDry))
}

/**
 * @property timeoutMs until an answer begins; 0: for ever
 * @property isDry what would change something is {@link Unsent}
 */
type Manner = { readonly timeoutMs?: number; readonly isDry?: boolean }

/** Of a list what there is of it, however many pages that takes, up to so many. */
export async function all<T>(list: AsyncIterable<T>, limit = Number.POSITIVE_INFINITY): Promise<readonly T[]> {
  const found: T[] = []
  for await (const one of list) if (found.push(one) >= limit) break
  return found
}

type Init = NonNullable<Parameters<Transport['fetch']>[1]>

/** Takes for an answer what the API says that it is, and nothing else. */
class CommandTransport extends Transport {
  readonly #isDry: boolean

  constructor(options: ConsiliumOptions, isDry: boolean) {
    super(options)
    this.#isDry = isDry
  }

  override async answer<T>(path: string, init: Init = {}): Promise<Answer<T>> {
    const { method = 'GET' } = init
    if (this.#isDry && method !== 'GET') throw unsent(path, init)
    const answer = await super.answer<unknown>(path, init).catch((cause: unknown) => {
      const isOther = cause instanceof ConnectionError && cause.cause instanceof SyntaxError
      throw isOther ? badAnswer(this.url, path, cause) : cause
    })
    // Nothing is what it says of what is gone.
    if (answer.status === 204) return answer as Answer<T>
    return { ...answer, value: (await answered(this.url, { method, path }, answer.value)) as T }
  }

  override async fetch(path: string, init: Init = {}): Promise<Response> {
    if (this.#isDry && (init.method ?? 'GET') !== 'GET') throw unsent(path, init)
    return super.fetch(path, init)
  }
}

/** What is no JSON is told by its type: it may be large, and what was given is known to whoever gave it. */
function unsent(path: string, { method = 'GET', json, body }: Init): Unsent {
  const parsed = json ?? (typeof body === 'string' ? (JSON.parse(body) as unknown) : null)
  return new Unsent({ dry_run: true, method, path, body: parsed })
}
