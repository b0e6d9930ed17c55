import { enableProdMode, setBackend } from '@tensorflow/tfjs-core'
import { registerGradients } from '../gradients.ts'
import { measureRows } from './benchmark.ts'
import { probeGradients } from './probe.ts'

export type BackendName = 'cuda' | 'webgpu' | 'node' | 'webgl' | 'wasm' | 'cpu'
export type BackendChoice = BackendName | 'auto'

/** The backend that is set, and why others are not. */
export type OpenBackend = {
  readonly name: BackendName
  /** What computes, in its maker's words. */
  readonly adapter: string
  /** A GPU's interface whose work the processor does: right, and slower than wasm. */
  readonly software: boolean
  /** Whether the same arguments give the same bits again. */
  readonly deterministic: boolean
  readonly passedOver: readonly PassedOver[]
}

/** @property fix what its operator can do about it */
export type PassedOver = { readonly backend: BackendName; readonly reason: string; readonly fix?: string }

/** One way to compute. What starts it may be Node's or a page's. */
export type Candidate = {
  readonly name: BackendName
  /** Throws {@link Unavailable} where it cannot be. @param asked by name: then software will do for a GPU */
  start(asked: boolean): Promise<Started>
}
export type Started = Pick<OpenBackend, 'adapter' | 'software' | 'deterministic'> & {
  /** The name that TF.js has for it. */
  readonly registered: string
  /** Resolves when nothing that it computes from then on may be believed. */
  readonly lost?: Promise<Loss>
  /** Has it say what it was told to do and could not, where it does not by itself. */
  check?(): void
  /** Gives back what it holds. */
  end?(): void
  /** What its operator can do where its gradients are wrong. */
  readonly fix?: string
}

/** @property refused one step, as where memory is short: what comes after may do */
export type Loss = { readonly reason: string; readonly refused: boolean }

export class Unavailable extends Error {
  override name = 'Unavailable'
  readonly fix: string | undefined
  constructor(reason: string, fix?: string) {
    super(reason)
    this.fix = fix
  }
}

export type Choosing = {
  /** Those that were lost before. */
  readonly without?: readonly BackendName[]
  /** Called when the backend that was chosen is lost, once. */
  readonly lost?: (reason: string, refused: boolean) => void
  /** Gives back what the backend holds; what is being read from it fails. */
  readonly signal?: AbortSignal
}

/**
 * Sets TF.js's backend for this thread: the one that is asked for, or the first that computes right. One that needs other
 * hardware than the processor must also beat the next: a GPU that is slow to be asked loses against wasm on small models.
 * Throws when none of the wanted ones computes right.
 *
 * @param candidates fastest first, as far as one can say beforehand
 */
export async function chooseBackend(
  candidates: readonly Candidate[],
  choice: BackendChoice,
  { without = [], ...choosing }: Choosing = {},
): Promise<OpenBackend> {
  const passedOver: PassedOver[] = []
  const wanted = choice === 'auto' ? candidates : candidates.filter(({ name }) => name === choice)
  let best: Measured | undefined
  for (const candidate of wanted.filter(({ name }) => !without.includes(name))) {
    const started = await start(candidate, choice !== 'auto')
    if ('reason' in started) {
      passedOver.push(started)
      continue
    }
    const sure = choice !== 'auto' || UNBEATEN.has(candidate.name)
    if (sure && !best) return settle({ ...started, name: candidate.name, rowsPerSecond: 0 }, passedOver, choosing)
    const measured = await measureRows().catch((cause: unknown) => ({ reason: reasonOf(cause) }))
    if (typeof measured === 'object') {
      // It was lost while it was tried, as on a machine that is suspended: the next may do.
      started.end?.()
      passedOver.push({ backend: candidate.name, ...measured })
      continue
    }
    const next = { ...started, name: candidate.name, rowsPerSecond: measured }
    const [faster, slower] = best && best.rowsPerSecond > next.rowsPerSecond ? [best, next] : [next, best]
    if (slower) {
      slower.end?.()
      passedOver.push({ backend: slower.name, reason: slowerThan(faster, slower) })
    }
    best = faster
    if (sure) break
  }
  if (best) return settle(best, passedOver, choosing)
  const reasons = passedOver.map(({ backend, reason, fix }) => `${backend}: ${reason}${fix ? ` (${fix})` : ''}`)
  throw new Error(`no backend trains here: ${reasons.join('; ') || `there is no ${choice} here`}`)
}

/** After these nothing is faster, so that there is nothing to measure. */
const UNBEATEN: ReadonlySet<BackendName> = new Set(['wasm', 'cpu'])

type Measured = Started & { readonly name: BackendName; readonly rowsPerSecond: number }

/** Whether it trains here when it is asked for by name. Leaves it set, and what it holds given back. */
export async function tryBackend(candidate: Candidate): Promise<OpenBackend | PassedOver> {
  const started = await start(candidate, true)
  if ('reason' in started) return started
  const { adapter, software, deterministic } = started
  started.end?.()
  return { name: candidate.name, adapter, software, deterministic, passedOver: [] }
}

/** Starts it, and has it show that it differentiates: that a backend starts does not mean that. */
async function start(candidate: Candidate, asked: boolean): Promise<Started | PassedOver> {
  // Else TF.js greets on the console, offers another backend and tells of every kernel that comes twice.
  enableProdMode()
  let started: Started | undefined
  try {
    started = await candidate.start(asked)
    if (!(await setBackend(started.registered))) throw new Unavailable('TF.js does not set it')
    registerGradients()
    if (!(await probeGradients())) throw new Unavailable('its gradients are wrong', started.fix)
    return started
  } catch (cause) {
    started?.end?.()
    const fix = cause instanceof Unavailable ? cause.fix : undefined
    return { backend: candidate.name, reason: reasonOf(cause), ...(fix !== undefined && { fix }) }
  }
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

async function settle(
  { registered, name, adapter, software, deterministic, lost: gone, check, end }: Measured,
  passedOver: readonly PassedOver[],
  { lost, signal }: Choosing,
): Promise<OpenBackend> {
  await setBackend(registered)
  checkSet = check
  if (lost) void gone?.then(({ reason, refused }) => lost(reason, refused))
  if (end) signal?.addEventListener('abort', end, { once: true })
  return { name, adapter, software, deterministic, passedOver }
}

let checkSet: (() => void) | undefined

/** Before what the backend that is set has computed is believed: `lost` is called within a turn where it may not be. */
export function checkBackend(): void {
  checkSet?.()
}

function slowerThan(faster: Measured, slower: Measured): string {
  const [here, there] = [slower, faster].map(({ rowsPerSecond }) => Math.round(rowsPerSecond).toLocaleString('en'))
  return `${slower.adapter} trains ${here} rows/s of a small convolutional network, ${faster.name} ${there}`
}
