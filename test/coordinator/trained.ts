import { comesTrue } from '#test/eventually.ts'
import { LiveSite } from '#test/live-site.ts'
import { type Live, live, request } from './live.ts'
import { CARD } from './prose.ts'

export type Json = Record<string, unknown>

/** A coordinator under which a plain run and a masked one have trained two rounds each, for pay. */
export type Trained = AsyncDisposable & {
  readonly at: Live
  readonly plain: string
  readonly masked: string
  get(path: string): Promise<Json>
}

export async function trained(change: Parameters<typeof live>[0] = {}): Promise<Trained> {
  const at = await live(change)
  const { url, id: key } = at.coordinator
  const get = async (path: string) => (await (await at.api(path)).json()) as Json
  const end = new AbortController()
  const lives = LiveSite.toys(3).map(async (site) => {
    for await (const _ of site.live({ url, key }, end.signal));
  })
  await comesTrue(async () => ((await get('/v1/nodes'))['data'] as unknown[]).length === 3)
  const train = async (masking: string, budget: string) => {
    const order = {
      masking,
      budget,
      rounds: 2,
      secure: { suite: 1, corrupt: 1 },
      cohort: { min: 3, max: 3, quorum: 3 },
    }
    const { task } = request() as { task: object }
    const { id } = (await (
      await at.launch({ ...order, task: { ...task, name: `toy, ${masking}`, card: CARD } })
    ).json()) as Json
    await comesTrue(async () => (await get(`/v1/runs/${id}`))['status'] === 'completed')
    return String(id)
  }
  const plain = await train('none', '100')
  const masked = await train('secagg/1', '1000')
  end.abort()
  await Promise.all(lives)
  return { at, plain, masked, get, [Symbol.asyncDispose]: () => at[Symbol.asyncDispose]() }
}
