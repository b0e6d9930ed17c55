import { expect, test } from '@jest/globals'
import { keepVectors } from '#coordinator/retention.ts'
import { walkBundle } from '#protocol/bundle.ts'
import { parseCid } from '#protocol/cid.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { comesTrue } from '#test/eventually.ts'
import { temporaryFolder } from '#test/folder.ts'
import { LiveSite } from '#test/live-site.ts'
import { verifyBundle } from '#verify/verify.ts'
import { type Live, live } from './live.ts'

type View = {
  readonly id: string
  readonly status: string
  readonly manifest: string
  readonly vectors: string
  readonly vectors_until: string | null
}

async function viewOf({ api }: Live, id: string): Promise<View> {
  return (await api(`/v1/runs/${id}`)).json() as Promise<View>
}

/** The bundle as the API gives it, and what a verifier says of it. */
async function verified({ api }: Live, id: string, query: string, allowExpired: boolean) {
  const answer = await api(`/v1/runs/${id}/bundle${query}`)
  if (!answer.ok) return { status: answer.status, code: ((await answer.json()) as { code: string }).code }
  const bytes = await answer.bytes()
  const file = {
    sizeBytes: bytes.length,
    read: async (offset: number, length: number) => bytes.slice(offset, offset + length) as Bytes,
  }
  const verdict = await verifyBundle(file, { allowExpired })
  return verdict.ok
    ? { ok: true, rounds: verdict.rounds.map(({ vectors }) => vectors) }
    : { ok: false, step: verdict.step }
}

test.each([
  ['plain', 'none'],
  ['masked', 'secagg/1'],
])(
  'a %s run whose vectors have expired is verified but for its sums, by whoever asks for that',
  async (_, masking) => {
    await using folder = await temporaryFolder()
    let id = ''
    const vectors: Cid[] = []
    {
      await using before = await live({ state: folder.path, retention: keepVectors('forever') })
      const { url, id: key } = before.coordinator
      const end = new AbortController()
      const lives = LiveSite.toys(3).map(async (site) => {
        for await (const _ of site.live({ url, key }, end.signal));
      })
      await comesTrue(
        async () => ((await (await before.api('/v1/nodes')).json()) as { data: unknown[] }).data.length === 3,
      )
      const launched = await before.launch({
        masking,
        secure: { suite: 1, corrupt: 1 },
        cohort: { min: 3, max: 3, quorum: 3 },
      })
      ;({ id } = (await launched.json()) as View)
      await comesTrue(async () => (await viewOf(before, id)).status === 'completed')
      end.abort()
      await Promise.all(lives)
      const view = await viewOf(before, id)
      expect(view).toMatchObject({ vectors: 'kept', vectors_until: null })
      const block = async (cid: Cid) => (await fetch(`${url}/ipfs/${cid}?format=raw`)).bytes() as Promise<Bytes>
      const root = parseCid(view.manifest)
      if (!root.ok) throw new Error(view.manifest)
      for await (const _ of walkBundle(root.value, block, (vector) => vectors.push(vector) < 0));
      expect(vectors).toHaveLength(6)
      expect(await verified(before, id, '', false)).toEqual({ ok: true, rounds: ['recomputed', 'recomputed'] })
    }
    // The operator keeps nothing any more.
    await using after = await live({ state: folder.path, retention: keepVectors(0) })
    await comesTrue(async () => (await viewOf(after, id)).vectors === 'expired')
    type Events = { readonly data: readonly { readonly type: string }[] }
    const typesOf = async () => {
      const { data } = (await (await after.api(`/v1/runs/${id}/events?limit=1000`)).json()) as Events
      return data.map(({ type }) => type)
    }
    await comesTrue(async () => (await typesOf()).at(-1) === 'vectors.deleted')
    // Not asked for before: what was just read is answered from memory for a while.
    const url = after.coordinator.url
    const statusOf = async (cid: Cid) => (await fetch(`${url}/ipfs/${cid}?format=raw`)).status
    expect(await Promise.all(vectors.map(statusOf))).toEqual(vectors.map(() => 404))
    expect(await viewOf(after, id)).toMatchObject({ status: 'completed', vectors_until: null })
    const matrix = (await (await after.api(`/v1/runs/${id}/matrix`)).json()) as { data: { why: string }[] }
    expect(matrix.data.map(({ why }) => why)).toEqual(Array(2).fill(masking === 'none' ? 'expired' : 'masked'))
    expect((await typesOf()).slice(-3)).toEqual(['run.completed', 'vectors.expired', 'vectors.deleted'])

    expect(await verified(after, id, '', true)).toEqual({ status: 410, code: 'vectors_expired' })
    expect(await verified(after, id, '?vectors=no', false)).toMatchObject({ ok: false, step: 'vector' })
    expect(await verified(after, id, '?vectors=no', true)).toEqual({ ok: true, rounds: ['expired', 'expired'] })
  },
  60_000,
)
