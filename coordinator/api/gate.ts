import type { FastifyReply, FastifyRequest } from 'fastify'
import { sha256 } from '#crypto'
import { equalSecret, utf8 } from '#protocol/bytes.ts'
import type { Bytes } from '#protocol/ids.ts'
import { holderOf } from '#protocol/places.ts'
import type { Clock } from '#protocol/ports.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'
import { Allowances, type Taken } from '../allowances.ts'
import { type ApiKey, type ApiKeys, isTextOf, isUsable, keyIdIn } from '../api-keys.ts'
import type { Bounds } from '../bounds.ts'
import { readSignIn, type SignIn, type SignIns } from '../sign-ins.ts'
import type { SignOuts } from '../sign-outs.ts'
import { type Caller, callerOf, ROOT } from './caller.ts'
import type { Origins } from './origins.ts'
import { inTime, later, Problem } from './problems.ts'

export const COOKIE = 'consilium_session'

export type GateDoors = {
  readonly keys: ApiKeys
  readonly signIns: SignIns
  readonly signOuts: SignOuts
  /** SHA-256 of the root key. */
  readonly keyHash: Uint8Array
  readonly clock: Clock
  readonly bounds: Pick<Bounds, 'requests' | 'strangers'>
}

/** What a request shows of who sent it. */
type Shown = { readonly id: string; readonly isProof: (hash: Bytes) => boolean; readonly signIn: SignIn | null }

/** Tells who sent a request, and lets each send so many. */
export class Gate {
  readonly #doors: GateDoors
  readonly #origins: Origins
  readonly #callers: Allowances
  readonly #strangers: Allowances

  constructor(doors: GateDoors, origins: Origins) {
    this.#doors = doors
    this.#origins = origins
    this.#callers = new Allowances(doors.bounds.requests)
    this.#strangers = new Allowances(doors.bounds.strangers)
  }

  /**
   * @throws {Problem} 401 without a key; 403 where a cookie comes without its token, or by a page of another origin; 429 where
   * there were too many before
   */
  async admit(request: FastifyRequest, reply: FastifyReply): Promise<Caller> {
    const shown = shownBy(request, this.#doors)
    if (shown?.signIn && this.#origins.isElsewhere(request)) throw foreign()
    const caller = await this.#callerOf(shown, request, reply)
    limit(reply, 'key', this.#callers, caller.id)
    if (shown?.signIn && !isSafe(request) && !this.#doors.signIns.hasToken(shown.signIn, tokenIn(request)))
      throw new Problem(
        403,
        'csrf_token_needed',
        'This may have come from another site',
        'send x-csrf-token as GET /v1/session answers it',
      )
    return caller
  }

  /** @returns a cookie for whoever has this key */
  async signIn(
    text: string,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<{ caller: Caller; cookie: string }> {
    if (this.#origins.isElsewhere(request)) throw foreign()
    const { signIns, keyHash, clock } = this.#doors
    const caller = await this.#callerOf(shownByKey(text, this.#doors), request, reply)
    const hash = caller.id === ROOT.id ? keyHash : (this.#doors.keys.remembered(caller.id) as ApiKey).hash
    return { caller, cookie: signIns.begin(caller.id, hash, clock.now()) }
  }

  /** Whether who sent this would still be let in: a key is revoked or expires, and a browser signs out, while answers last. */
  async stands(request: FastifyRequest): Promise<boolean> {
    return (await this.#judge(shownBy(request, this.#doors))).ok
  }

  async #callerOf(shown: Shown | undefined, request: FastifyRequest, reply: FastifyReply): Promise<Caller> {
    // Whoever has a key that this process knows to be good is not kept waiting by those who have none.
    if (!(shown && this.#knows(shown)))
      limit(reply, 'address', this.#strangers, holderOf(request.raw.socket.remoteAddress))
    const judged = await this.#judge(shown)
    if (!judged.ok) throw unauthorized(judged.refusal)
    const { caller, key } = judged.value
    // That a key was used is worth knowing; a disk that is full of it would keep everybody out.
    if (key)
      await inTime(this.#doors.clock, this.#doors.keys.use(key)).catch((err: unknown) =>
        request.log.warn({ err, key: key.id }, 'it is not kept that this key was used'),
      )
    return caller
  }

  #knows({ id, isProof, signIn }: Shown): boolean {
    const { keys, keyHash, signOuts, clock } = this.#doors
    const key = keys.remembered(id)
    const hash = id === ROOT.id ? keyHash : key && isUsable(key, clock.now()) ? key.hash : undefined
    return hash !== undefined && isProof(hash) && !(signIn && signOuts.knowsEnded(signIn))
  }

  async #judge(shown: Shown | undefined): Promise<Result<{ readonly caller: Caller; readonly key?: ApiKey }>> {
    const { keys, keyHash, signOuts, clock } = this.#doors
    const key = shown && shown.id !== ROOT.id ? await inTime(clock, keys.get(shown.id)) : undefined
    const hash = shown?.id === ROOT.id ? keyHash : key?.hash
    if (!(shown && hash && shown.isProof(hash))) return refuse(ANY)
    if (key && !isUsable(key, clock.now()))
      return refuse(key.revokedAt === null ? 'this key has expired' : 'this key was revoked')
    if (shown.signIn && (await inTime(clock, signOuts.isEnded(shown.signIn))))
      return refuse('this browser has signed out')
    return accept(key ? { caller: callerOf(key), key } : { caller: ROOT })
  }
}

/** Says how many are left, whether this was one too many or not. */
function limit(reply: FastifyReply, policy: 'key' | 'address', allowances: Allowances, holder: string): void {
  const taken: Taken = allowances.take(holder, performance.now())
  const { perSecond, burst } = allowances.rate
  void reply.header('ratelimit-policy', `"${policy}";q=${burst};w=${Math.ceil(burst / perSecond)}`)
  void reply.header('ratelimit', `"${policy}";r=${taken.left};t=${taken.fullInSeconds}`)
  if (!taken.ok) throw later(429, 'too_many_requests', 'at most so many a second', { seconds: taken.nextInSeconds })
}

const ANY = 'send Authorization: Bearer <key>; the key is in <state>/api-key'

function unauthorized(detail: string): Problem {
  const headers = { 'www-authenticate': 'Bearer' }
  return new Problem(401, 'unauthorized', 'An API key is needed', detail, { headers })
}

function foreign(): Problem {
  const detail = 'send Authorization: Bearer <key>; whoever is signed in here is so on the pages of here alone'
  return new Problem(403, 'foreign_origin', 'A page of another origin has no cookie', detail)
}

/** A key goes before a cookie: whoever sends one means it. */
function shownBy(request: FastifyRequest, doors: GateDoors): Shown | undefined {
  const [scheme, key] = (request.headers.authorization ?? '').split(' ')
  if (scheme?.toLowerCase() === 'bearer' && key) return shownByKey(key, doors)
  const signIn = signInOf(request)
  if (!signIn) return undefined
  return { id: signIn.key, isProof: (hash) => doors.signIns.isOf(signIn, hash, doors.clock.now()), signIn }
}

/** What has no place for an id can only be the root's. */
function shownByKey(text: string, { keyHash }: GateDoors): Shown {
  const id = keyIdIn(text)
  if (id !== undefined) return { id, isProof: (hash) => isTextOf(text, { hash }), signIn: null }
  return { id: ROOT.id, isProof: () => equalSecret(sha256(utf8(text)), keyHash), signIn: null }
}

/** Of the cookie that a request came with instead of a key, whoever it may be of. */
export function signInOf({ headers }: FastifyRequest): SignIn | undefined {
  if (headers.authorization !== undefined) return undefined
  const cookies = headers.cookie?.split(';').map((pair) => pair.trim()) ?? []
  const ours = cookies.find((pair) => pair.startsWith(`${COOKIE}=`))
  return ours === undefined ? undefined : readSignIn(ours.slice(COOKIE.length + 1))
}

function tokenIn({ headers }: FastifyRequest): string | undefined {
  const token = headers['x-csrf-token']
  return typeof token === 'string' ? token : undefined
}

function isSafe({ method }: FastifyRequest): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}
