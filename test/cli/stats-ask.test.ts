import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { EXIT } from '#cli/failure.ts'
import * as example from '#coordinator/api/examples.ts'
import type { Bytes } from '#protocol/ids.ts'
import { signer } from '#test/coordinator/live.ts'
import { question } from '#test/statistics/given.ts'
import { ASKED, recordAsk } from '#test/verify/asks.ts'
import { fileUnder } from '#test/verify/store.ts'
import { consilium, jsonLines } from './command.ts'
import { here } from './here.ts'

const RUN = 'run_01ARZ3NDEKTSV4RRFFQ69G5FAV'
const SHOWN = {
  ...{ id: RUN, status: 'running', reason: null, created_at: '2026-01-01T00:00:00.000Z', name: 'a question' },
  ...{
    population: 'open',
    federation: null,
    question: 'bafy',
    labels: {},
    min_cell: 1,
    min_cohort: 3,
    round: null,
    phase: null,
    manifest: null,
  },
}

/** What says that it is a coordinator, answers as one, and gives this for the record. */
const pretender = (record: Bytes, ...told: readonly object[]) => pretenderOf(RUN, record, told)

/** @param id what it calls the run */
async function pretenderOf(id: string, record: Bytes, told: readonly object[] = []) {
  const asked: unknown[] = []
  const server = createServer((request, response) => {
    if (request.url?.endsWith('/events')) {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      for (const [seq, event] of (told.length > 0 ? told : [{ type: 'run.completed' }]).entries())
        response.write(`id: ${seq}\ndata: ${JSON.stringify({ ...event, run: id, seq, time: SHOWN.created_at })}\n\n`)
      response.end()
    } else if (request.url?.endsWith('/bundle')) response.end(record)
    else if (request.method === 'GET') response.end(JSON.stringify({ ...example.RUN, id }))
    else {
      let body = ''
      request.setEncoding('utf8').on('data', (text: string) => {
        body += text
      })
      request.on('end', () => {
        asked.push(JSON.parse(body))
        response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify({ ...SHOWN, id }))
      })
    }
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, asked, [Symbol.asyncDispose]: () => new Promise<void>((closed) => server.close(() => closed())) }
}

async function ask(url: string, asked: object, ...flags: readonly string[]) {
  const args = ['stats', 'ask', '--coordinator', url, '--question', '-', ...flags]
  return consilium(args, { env: { CONSILIUM_API_KEY: 'key' }, input: JSON.stringify(asked) })
}

describe('stats ask', () => {
  test('prints what it recomputed from the record, with the question as it was put', async () => {
    const { root, blocks, coordinator } = await recordAsk()
    await using at = await pretender(await fileUnder(root, blocks))
    const ran = await ask(at.url, ASKED, '--coordinator-key', coordinator, '--json')
    expect(ran).toMatchObject({ code: EXIT.ok, stderr: '' })
    expect(jsonLines(ran.stdout)).toMatchObject([
      { sites: 4, items: [{ rows: 12 }, { other: 1 }], record: root, recomputed: true, pinned: true, run: RUN },
    ])
    expect(at.asked).toEqual([{ question: ASKED, population: 'open' }])
  })

  test('takes no record of another run for its answer, of the same question either, under the pinned key either', async () => {
    const { root, blocks, coordinator } = await recordAsk()
    await using at = await pretenderOf('run_01ARZ3NDEKTSV4RRFFQ69G5FAW', await fileUnder(root, blocks))
    const ran = await ask(at.url, ASKED, '--coordinator-key', coordinator)
    expect(ran).toMatchObject({ code: EXIT.unverified, stdout: '' })
    expect(ran.stderr).toMatch(/does not hold at run: .*5FAV, .*5FAW/)
  })

  test('takes no record about another question for its answer', async () => {
    const { root, blocks } = await recordAsk()
    await using at = await pretender(await fileUnder(root, blocks))
    const ran = await ask(at.url, question([{ kind: 'count', column: null }]))
    expect(ran).toMatchObject({ code: EXIT.unverified, stdout: '' })
    expect(ran.stderr).toMatch(/another_question/)
  })

  test('takes no record that does not hold, and none by another key than the pinned one', async () => {
    const { root, blocks } = await recordAsk()
    const record = await fileUnder(root, blocks)
    await using broken = await pretender(record.with(record.length - 1, (record.at(-1) as number) ^ 1))
    expect(await ask(broken.url, ASKED)).toMatchObject({ code: EXIT.unverified, stdout: '' })
    await using other = await pretender(record)
    const ran = await ask(other.url, ASKED, '--coordinator-key', signer('somebody else').id)
    expect(ran).toMatchObject({ code: EXIT.unverified, stdout: '' })
    expect(ran.stderr).toMatch(/does not hold at coordinator/)
  })

  test('says why there is no answer', async () => {
    await using at = await pretender(new Uint8Array(0), { type: 'run.failed', reason: 'too-few-nodes' })
    const ran = await ask(at.url, ASKED)
    expect(ran).toMatchObject({ code: EXIT.runFailed, stdout: '' })
    expect(ran.stderr).toMatch(/no_answer.*too-few-nodes/)
    const lacking = { type: 'run.failed', reason: '1 round was aborted, the last one: refused-by-sites: no-column' }
    await using elsewhere = await pretender(new Uint8Array(0), lacking)
    const args = ['stats', 'ask', '--count', '--coordinator', elsewhere.url]
    expect((await here(args, { CONSILIUM_API_KEY: 'key' })).stderr).toMatch(
      /fix +ask about a column that the sites have/,
    )
  })

  test('names the rules by which sites would not answer, where there would have been enough of them', async () => {
    const declined = ['z6Mk1', 'z6Mk2'].map((node) => ({ type: 'node.declined', node, reason: 'cells-too-small' }))
    const failed = { type: 'run.failed', reason: 'too-few-nodes' }
    await using at = await pretender(new Uint8Array(0), { type: 'round.opened', invited: 4 }, ...declined, failed)
    const args = ['stats', 'ask', '--count', '--min-cohort', '3', '--coordinator', at.url, '--json']
    const { code, stderr } = await here(args, { CONSILIUM_API_KEY: 'key' })
    expect({ code, ...JSON.parse(stderr) }).toMatchObject({
      ...{ code: 'policy_denied', exit: EXIT.policyDenied, fix: 'raise --min-cell; or ask whose rule it is' },
      lines: [
        { label: 'rule', text: 'cells-too-small, of z6Mk1' },
        { label: 'rule', text: 'cells-too-small, of z6Mk2' },
      ],
    })
    expect(code).toBe(EXIT.policyDenied)
    // The last of them to decline ends the round by that.
    const end = { type: 'round.aborted', cause: 'declined', node: 'z6Mk3', node_reason: 'cells-too-small', reason: 'r' }
    await using last = await pretender(
      new Uint8Array(0),
      { type: 'round.opened', invited: 3 },
      ...declined,
      end,
      failed,
    )
    const three = await here([...args.slice(0, -2), last.url, '--json'], { CONSILIUM_API_KEY: 'key' })
    expect(three.stderr).toMatch(/3 sites refuse this: 3 are needed, 0 may come[\s\S]*cells-too-small, of z6Mk3/)
    // All of those there are, though they would be too few.
    await using few = await pretender(new Uint8Array(0), { type: 'round.opened', invited: 2 }, ...declined, failed)
    const all = await here([...args.slice(0, -2), few.url, '--json'], { CONSILIUM_API_KEY: 'key' })
    expect(JSON.parse(all.stderr)).toMatchObject({ code: 'policy_denied', exit: EXIT.policyDenied })
  })
})
