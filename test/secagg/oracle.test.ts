import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { sessionId } from '#aggregation/secagg/derive.ts'
import { encodeLanes } from '#aggregation/vector.ts'
import { toHex } from '#protocol/bytes.ts'
import { type Bytes, publicKeyOf } from '#protocol/ids.ts'
import { must } from '#test/aggregation/given.ts'
import { cohortOf, plainSum } from './cohort.ts'
import { type Absent, type Played, play } from './play.ts'

const python = spawnSync('python3', ['--version'], { encoding: 'utf8' })
if (python.status !== 0) console.log('skipped: there is no python3 here to verify a session a second time')
const withPython = python.status === 0 ? test : test.skip

/** What was published and answered, as hexadecimal text. */
function published({ record, answers, survivors, vectors }: Played) {
  const { roster, adverts, keys, inputs } = record
  return {
    rosterHash: toHex(roster.hash),
    t: roster.body.params.t,
    members: adverts.map(({ body }, index) => ({
      u: index + 1,
      id: toHex(publicKeyOf(body.id)),
      sPk: toHex(body.sPk),
      bCommit: toHex(body.bCommit),
    })),
    vectors: inputs.map(({ body }) => ({ u: body.u, bytes: toHex(vectors.bytes.get(body.cid) as Bytes) })),
    dropouts: keys.map(({ body }) => body.u).filter((u) => !survivors.includes(u)),
    answers: answers.map(({ body }) => ({
      u: body.u,
      self: toHex(body.self),
      bShares: body.bShares.map(({ u, share }) => ({ u, share: toHex(share) })),
      rootShares: body.rootShares.map(({ u, share }) => ({ u, share: toHex(share) })),
    })),
  }
}

withPython.each([
  ['nobody lost', 4, {}],
  ['dropouts and silent survivors', 9, { share: [2], mask: [1, 9], unmask: [4] }],
] as readonly (readonly [string, number, Absent])[])(
  'an implementation in Python finds the same sum: %s',
  async (_, n, absent) => {
    const cohort = cohortOf(`oracle ${n}`, n, { parameters: 37 })
    const played = must(await play(cohort, absent))
    const said = spawnSync('python3', [join(import.meta.dirname, 'oracle.py')], {
      encoding: 'utf8',
      input: JSON.stringify(published(played)),
    })
    expect(said.stderr).toBe('')
    expect(JSON.parse(said.stdout)).toEqual({
      sid: toHex(sessionId(played.record.roster.hash)),
      sum: toHex(encodeLanes(plainSum(cohort, played.survivors))),
    })
  },
)
