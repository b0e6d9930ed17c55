import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Consilium } from '#sdk/client.ts'
import { VerificationError } from '#sdk/errors.ts'
import { type Json, type Trained, trained } from '#test/coordinator/trained.ts'
import { temporaryFolder } from '#test/folder.ts'
import { loopback } from '#test/loopback.ts'
import { jsonLines } from './command.ts'
import { here } from './here.ts'

/** A coordinator with two runs, which one key signed, and one before it that hands out the records of the one for those of the other. */
let given: Trained
let swapping: Awaited<ReturnType<typeof swapped>>
beforeAll(async () => {
  given = await trained()
  swapping = await swapped()
}, 60_000)
afterAll(async () => {
  await swapping[Symbol.asyncDispose]()
  await given[Symbol.asyncDispose]()
})

async function swapped() {
  const { plain, masked } = given
  const other = (id: string) => (id === plain ? masked : plain)
  return loopback(async (request, response) => {
    const { pathname, search } = new URL(request.url as string, 'http://here')
    const [, id = '', rest = ''] = /^\/v1\/runs\/(run_\w+)(.*)$/.exec(pathname) ?? []
    const ask = (path: string) =>
      fetch(`${given.at.coordinator.url}${path}`, {
        headers: { authorization: `Bearer ${given.at.key}`, accept: request.headers.accept ?? '*/*' },
      })
    const isFile = id !== '' && /^\/(bundle|model|card)/.test(rest)
    const answer = await ask(isFile ? `/v1/runs/${other(id)}${rest}${search}` : (request.url as string))
    let bytes: Uint8Array = await answer.bytes()
    if (id !== '' && /^(\/rounds\/\d+)?$/.test(rest)) {
      const theirs = (await (await ask(`/v1/runs/${other(id)}${rest}`)).json()) as Json
      const { manifest, record, model } = theirs
      bytes = Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(bytes).toString()), manifest, record, model }))
    }
    const named = answer.headers.get('x-consilium-model')
    response
      .writeHead(answer.status, {
        'content-type': answer.headers.get('content-type') ?? '',
        ...(named && { 'x-consilium-model': named }),
      })
      .end(bytes)
  })
}

const ran = (...args: readonly string[]) => here(args, { CONSILIUM_API_KEY: given.at.key })
const pin = () => ['--coordinator', given.at.coordinator.id] as const

describe('a coordinator that hands out the record of another of its runs is found out', () => {
  test.each([[[]], [['--round', '1']]])('by verify %j, also under its pinned key', async (round) => {
    for (const pins of [[], pin()]) {
      const args = ['--run', given.plain, ...round, ...pins, '--json'] as const
      const { code, stdout } = await ran('verify', swapping.url, ...args)
      const detail = expect.stringMatching(`of ${given.masked}, .*of ${given.plain}$`)
      expect({ code, said: jsonLines(stdout) }).toMatchObject({ code: 8, said: [{ ok: false, step: 'run', detail }] })
    }
    const honest = await ran('verify', given.at.coordinator.url, '--run', given.plain, ...round, ...pin(), '--json')
    expect(honest.code).toBe(0)
  })

  test('by model pull and model diff, of a run and of a round, and nothing is kept', async () => {
    await using folder = await temporaryFolder()
    const at = ['--coordinator', swapping.url, '--coordinator-key', given.at.coordinator.id]
    for (const named of [given.plain, `${given.plain}:1`]) {
      const pulled = await ran('model', 'pull', named, ...at, '--out', folder.path)
      expect(pulled).toMatchObject({ code: 8, stderr: expect.stringContaining(given.masked) })
      expect((await ran('model', 'diff', named, given.masked, ...at)).code).toBe(8)
    }
    expect(await readdir(folder.path)).toEqual([])
  })

  test('by bundles export, which leaves no file', async () => {
    await using folder = await temporaryFolder()
    for (const round of [[], ['--round', '2']]) {
      const out = join(folder.path, 'run.car')
      const exported = await ran('bundles', 'export', given.plain, '--from', swapping.url, ...round, '--out', out)
      expect(exported).toMatchObject({ code: 8, stderr: expect.stringContaining(given.masked) })
    }
    expect(await readdir(folder.path)).toEqual([])
  })

  test('by model card', async () => {
    const told = await ran('model', 'card', given.plain, '--coordinator', swapping.url)
    expect(told).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(given.plain) })
    expect((await ran('model', 'card', given.plain, '--coordinator', given.at.coordinator.url)).code).toBe(0)
  })

  test('by the SDK, in models, cards and its own answers', async () => {
    const client = new Consilium({ url: swapping.url, apiKey: given.at.key })
    const run = await client.runs.get(given.plain)
    await expect(run.model()).rejects.toBeInstanceOf(VerificationError)
    await expect(run.model({ round: 1 })).rejects.toBeInstanceOf(VerificationError)
    await expect(run.card()).rejects.toBeInstanceOf(VerificationError)
  })
})

test('a file is verified as the record of the run that it is said to be of, and of the round', async () => {
  await using folder = await temporaryFolder()
  const [whole, round] = [join(folder.path, 'run.car'), join(folder.path, 'round.car')]
  const bundle = async (query: string) =>
    Buffer.from(await (await given.at.api(`/v1/runs/${given.plain}/bundle${query}`)).arrayBuffer())
  await writeFile(whole, await bundle(''))
  await writeFile(round, await bundle('?round=1'))
  expect((await readFile(round)).length).toBeGreaterThan(0)
  expect((await ran('verify', whole, '--run', given.plain)).code).toBe(0)
  expect((await ran('verify', whole, '--run', given.plain, '--round', '1')).code).toBe(0)
  for (const args of [[], ['--round', '1']]) {
    const refused = await ran('verify', whole, '--run', given.masked, ...args)
    expect(refused).toMatchObject({ code: 8, stdout: expect.stringContaining('FAILED at run') })
  }
  // A round of it is not the run.
  const part = await ran('verify', round, '--run', given.plain)
  expect(part).toMatchObject({ code: 8, stdout: expect.stringContaining('FAILED at run') })
})
