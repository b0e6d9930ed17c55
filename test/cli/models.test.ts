import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { parseArguments } from '#cli/arguments.ts'
import { COMMANDS } from '#cli/commands.ts'
import { outputTo } from '#cli/output.ts'
import { failureOf } from '#cli/thrown.ts'
import { type Json, type Trained, trained } from '#test/coordinator/trained.ts'
import { temporaryFolder } from '#test/folder.ts'
import { loopback } from '#test/loopback.ts'
import { checkPrinted } from './printed.ts'

let given: Trained
beforeAll(async () => {
  given = await trained()
}, 60_000)
afterAll(async () => given[Symbol.asyncDispose]())

/** As the command line does it, in this process. */
async function run(name: string, ...rest: readonly string[]): Promise<{ code: number; text: string; json: Json }> {
  const command = COMMANDS.find((one) => one.name === name)
  if (!command) throw new Error(`there is no ${name}`)
  // A key beside a coordinator in the environment is for that one alone.
  const isElsewhere = rest.includes('--coordinator')
  const environment = {
    ...(!isElsewhere && { CONSILIUM_COORDINATOR: given.at.coordinator.url }),
    // Whoever was paid has a receipt, and no key.
    ...(name !== 'receipt show' && { CONSILIUM_API_KEY: given.at.key }),
  }
  const args = parseArguments(command, rest, environment)
  let text = ''
  const out = { write: (piece: string) => (text += piece) }
  const output = outputTo({ out, err: { write: () => undefined } }, {}, { json: args.flag('json'), quiet: true })
  const { execute } = await command.load()
  const code = await execute({ args, output }).catch((cause: unknown) => Promise.reject(failureOf(cause)))
  checkPrinted([...name.split(' '), ...rest], { stdout: text })
  return { code, text, json: args.flag('json') ? (JSON.parse(text) as Json) : {} }
}

describe('model pull', () => {
  test('keeps what the coordinator would hand over, made of weights that were checked, and overwrites nothing', async () => {
    await using folder = await temporaryFolder()
    const pull = (...more: string[]) => run('model pull', given.plain, '--out', folder.path, ...more)
    const pulled = await pull(
      '--format',
      'raw,npz,tfjs,safetensors',
      '--coordinator-key',
      given.at.coordinator.id,
      '--json',
    )
    const { model, manifest } = await given.get(`/v1/runs/${given.plain}`)
    expect(pulled).toMatchObject({ code: 0, json: { model, record: manifest, pinned: true, parameters: 3, bytes: 12 } })
    for (const [format, suffix] of Object.entries({
      raw: 'f32',
      npz: 'npz',
      tfjs: 'tfjs.zip',
      safetensors: 'safetensors',
    })) {
      const answer = await given.at.api(`/v1/runs/${given.plain}/model?format=${format}`)
      const kept = await readFile(join(folder.path, `${given.plain}.${suffix}`))
      expect(kept.equals(Buffer.from(await answer.arrayBuffer()))).toBe(true)
    }
    await expect(pull()).rejects.toMatchObject({ code: 'file_exists' })
    expect((await pull('--force')).text).toContain('unpinned')
    await run('model pull', `${given.plain}:1`, '--out', folder.path)
    expect(await readdir(folder.path)).toContain(`${given.plain}-round-1.safetensors`)
  })

  test('keeps nothing that somebody else has signed, and of no round that made no model', async () => {
    await using folder = await temporaryFolder()
    const pull = (...rest: string[]) => run('model pull', ...rest, '--out', folder.path)
    const { data } = (await given.get('/v1/balances')) as { data: { node: string }[] }
    await expect(pull(given.plain, '--coordinator-key', data[0]?.node as string)).rejects.toMatchObject({
      ...{ exit: 8, message: expect.stringContaining('wrong-signer') },
    })
    await expect(pull(`${given.plain}:9`)).rejects.toMatchObject({ exit: 4 })
    await expect(pull(`${given.plain}:x`)).rejects.toMatchObject({ code: 'which_model', exit: 2 })
    await expect(pull(given.plain, '--format', 'onnx')).rejects.toMatchObject({ code: 'bad_value' })
    expect(await readdir(folder.path)).toEqual([])
  })
})

/** A coordinator that answers as ours does, but for one block, of which the last bit is another; or for what a run is called. */
async function lying(block: string, name = given.plain): Promise<AsyncDisposable & { readonly url: string }> {
  return loopback(async (request, response) => {
    const headers = { authorization: `Bearer ${given.at.key}` }
    const path = request.url?.replace(encodeURIComponent(name), given.plain)
    const answer = await fetch(`${given.at.coordinator.url}${path}`, {
      method: request.method ?? 'GET',
      headers,
    })
    let bytes: Uint8Array = await answer.bytes()
    if (request.url?.startsWith(`/ipfs/${block}`) && bytes.length > 0)
      bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1
    if (path?.startsWith('/v1/')) bytes = Buffer.from(Buffer.from(bytes).toString().replaceAll(given.plain, name))
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' }).end(bytes)
  })
}

test('model pull keeps nothing of a model in which one bit is another, in whichever of its blocks', async () => {
  await using folder = await temporaryFolder()
  const { model, manifest } = (await given.get(`/v1/runs/${given.plain}`)) as { model: string; manifest: string }
  const { weights, architecture } = (await given.get(`/v1/models/${model}`)) as {
    weights: string
    architecture: string
  }
  for (const block of [manifest, model, architecture, weights]) {
    await using at = await lying(block)
    const pulled = run('model pull', given.plain, '--coordinator', at.url, '--out', folder.path)
    await expect(pulled).rejects.toMatchObject({ exit: 8, message: expect.stringContaining(block) })
  }
  expect(await readdir(folder.path)).toEqual([])
})

test('model pull writes in its folder alone, whatever a coordinator calls a run', async () => {
  await using folder = await temporaryFolder()
  await using at = await lying('none', '../elsewhere')
  const out = join(folder.path, 'out')
  const pulled = run('model pull', given.plain, '--coordinator', at.url, '--out', out)
  await expect(pulled).rejects.toMatchObject({ code: 'bad_answer' })
  expect(await readdir(folder.path)).toEqual([])
})

test('model diff tells how far a round has moved each tensor, and exits as diff does', async () => {
  expect(await run('model diff', `${given.plain}:2`, given.plain, '--json')).toMatchObject({
    ...{ code: 0, json: { same: true, all: { distance: 0, cosine: expect.closeTo(1, 9) } } },
  })
  const moved = await run('model diff', `${given.plain}:1`, `${given.plain}:2`, '--json')
  const { tensors, all } = moved.json as { tensors: { name: string; distance: number }[]; all: { distance: number } }
  expect([moved.code, moved.json['same'], tensors.map(({ name }) => name)]).toEqual([
    1,
    false,
    ['out/kernel', 'out/bias'],
  ])
  expect(all.distance).toBeCloseTo(Math.hypot(...tensors.map(({ distance }) => distance)))
  expect(all.distance).toBeGreaterThan(0)
  expect((await run('model diff', given.plain, given.masked)).text).toMatch(
    /^a {2}bafy.*\nb {2}bafy.*\ntensor.*\nout\/kernel/,
  )
})

test('model card writes what the API answers', async () => {
  const answer = await given.at.api(`/v1/runs/${given.plain}/card`)
  expect((await run('model card', given.plain)).text).toBe(await answer.text())
  expect((await run('model card', given.plain, '--json')).json['run']).toBe(given.plain)
})

test('a run that has trained is told of as its schemas say, seat by seat and side by side', async () => {
  const { json } = await run('runs show', given.masked, '--json')
  expect(json).toMatchObject({ id: given.masked, history: [{ round: 1 }, { round: 2 }, { round: 3 }] })
  const { seats } = (await run('rounds show', given.plain, '1', '--json')).json as { seats: { node: string }[] }
  expect((await run('nodes show', seats[0]?.node as string, '--json')).json['rounds']).toHaveLength(6)
  expect((await run('runs compare', given.plain, given.masked, '--json')).json['rounds']).toHaveLength(2)
})

test('earnings, payouts and receipts tell of the same money', async () => {
  const { data } = (await run('payouts ls', '--json')).json as { data: Json[] }
  expect(data).toHaveLength(12)
  expect(((await run('payouts ls', given.plain, '--limit', '2', '--json')).json['data'] as Json[]).length).toBe(2)
  const [{ receipt, node, amount, run: of, round }] = data as [Json]
  const key = given.at.coordinator.id
  const shown = await run('receipt show', receipt as string, '--coordinator-key', key, '--json')
  expect(shown.json).toMatchObject({ receipt, node, amount, run: of, round, signed_by: key, pinned: true })
  const { data: earned } = (await run('earnings', '--json')).json as { data: { node: string; earned: string }[] }
  const own = data.filter((one) => one['node'] === node)
  const sum = own.reduce((all, one) => all + BigInt(one['amount'] as string), 0n)
  expect(earned.find((one) => one.node === node)?.earned).toBe(String(sum))
  expect((await run('earnings')).text.split('\n')).toHaveLength(5)
  const { manifest } = await given.get(`/v1/runs/${given.plain}`)
  await expect(run('receipt show', manifest as string)).rejects.toMatchObject({ code: 'not_a_receipt', exit: 8 })
  await expect(run('receipt show', 'x')).rejects.toMatchObject({ exit: 2 })
})
