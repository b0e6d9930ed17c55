import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { sessionId } from '#aggregation/secagg/derive.ts'
import { SUITE_HYBRID, SUITE_X25519, type Suite } from '#aggregation/secagg/messages.ts'
import { encodeLanes } from '#aggregation/vector.ts'
import { toHex } from '#protocol/bytes.ts'
import { publicKeyOf } from '#protocol/ids.ts'
import { must } from '#test/aggregation/given.ts'
import { published } from '#test/vectors/published.ts'
import { cohortOf, plainSum } from './cohort.ts'
import { type Absent, type Played, play } from './play.ts'

const { status } = spawnSync('python3', ['--version'], { encoding: 'utf8' })
if (status !== 0) process.stderr.write('skipped: there is no python3 here to verify a session a second time\n')
const withPython = status === 0 ? test : test.skip

/** What was published and answered, as hexadecimal text. */
function publicOf({ record, answers, survivors, vectors }: Played) {
  const { roster, adverts, keys, inputs, maskCts } = record
  return {
    rosterHash: toHex(roster.hash),
    t: roster.body.params.t,
    members: adverts.map(({ body }, index) => ({
      u: index + 1,
      id: toHex(publicKeyOf(body.id)),
      sPk: toHex(body.sPk),
      bCommit: toHex(body.bCommit),
      ...(body.sKemPk ? { sKemPk: toHex(body.sKemPk) } : {}),
    })),
    promised: keys.flatMap(({ body }) => body.to.flatMap(({ v, hM }) => (hM ? [{ u: body.u, v, hM: toHex(hM) }] : []))),
    maskCts: maskCts.map(({ u, v, ct }) => ({ u, v, ct: toHex(ct) })),
    vectors: inputs.map(({ body }) => ({ u: body.u, bytes: toHex(vectors.of(body)) })),
    dropouts: keys.map(({ body }) => body.u).filter((u) => !survivors.includes(u)),
    answers: answers.map(({ body }) => ({
      u: body.u,
      self: toHex(body.self),
      bShares: body.bShares.map(({ u, share }) => ({ u, share: toHex(share) })),
      rootShares: body.rootShares.map(({ u, share }) => ({ u, share: toHex(share) })),
    })),
  }
}

function python(script: string, input = '') {
  const said = spawnSync('python3', ['-B', join(import.meta.dirname, script)], { encoding: 'utf8', input })
  expect(said.stderr).toBe('')
  return JSON.parse(said.stdout)
}

withPython.each([
  ['nobody lost', SUITE_X25519, 4, {}],
  ['dropouts and silent survivors', SUITE_X25519, 9, { share: [2], mask: [1, 9], unmask: [4] }],
  ['suite 2, nobody lost', SUITE_HYBRID, 4, {}],
  ['suite 2, dropouts and silent survivors', SUITE_HYBRID, 9, { share: [2], mask: [5, 9], unmask: [4] }],
] as readonly (readonly [string, Suite, number, Absent])[])(
  'an implementation in Python finds the same sum: %s',
  async (_, suite, n, absent) => {
    const cohort = cohortOf(`oracle ${n}`, n, { parameters: 37, suite })
    const played = must(await play(cohort, absent))
    expect(python('oracle.py', JSON.stringify(publicOf(played)))).toEqual({
      sid: toHex(sessionId(played.record.roster.hash)),
      sum: toHex(encodeLanes(plainSum(cohort, played.survivors))),
    })
  },
)

withPython('an implementation in Python computes the vectors of both suites, from their roots to their sums', () => {
  const { confirm: _signed, ...vectors } = published(['secagg'])['secagg'] as { readonly confirm: object }
  expect(python('oracle_vectors.py')).toEqual(vectors)
})
