import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { CarReader } from '@ipld/car'
import * as dagCbor from '@ipld/dag-cbor'
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { DAG_CBOR } from '#protocol/cid.ts'

/** What a schema is asked here. */
type Schema = {
  safeDecode(value: unknown): { readonly success: boolean; readonly data?: unknown }
}
type Module = Readonly<Record<string, unknown>>
type Bundle = (change: object) => Promise<{ readonly outputFiles: readonly { readonly text: string }[] }>

const ROOMS = [
  ...['architecture', 'capability', 'envelope', 'manifest', 'messages', 'metrics', 'plan', 'question', 'receipt'],
  ...['sealed', 'selection', 'spot-check', 'subject', 'task'],
].map((name) => `protocol/${name}.ts`)
const FILES = [...ROOMS, 'aggregation/secagg/messages.ts']

/** Every schema of the module by name, those of its tables, too. */
function schemasOf(module: Module, prefix: string): [string, Schema][] {
  return Object.entries(module).flatMap(([name, value]): [string, Schema][] => {
    if (value === null || typeof value !== 'object') return []
    if ('_zod' in value) return [[`${prefix} ${name}`, value as unknown as Schema]]
    return Object.getPrototypeOf(value) === Object.prototype ? schemasOf(value as Module, `${prefix} ${name}`) : []
  })
}

/** As the page's bundle makes them. */
async function pageSchemas(): Promise<Map<string, Schema>> {
  const { bundleLend } = (await import(new URL('../../tools/lend.mjs', import.meta.url).href)) as {
    readonly bundleLend: Bundle
  }
  const contents = FILES.map((path, at) => `export * as room${at} from './${path}'`).join('\n')
  const { outputFiles } = await bundleLend({
    ...{ entryPoints: undefined, splitting: false, minify: false, outdir: undefined },
    stdin: { contents, resolveDir: join(import.meta.dirname, '../..'), loader: 'js' },
  })
  const folder = await mkdtemp(join(tmpdir(), 'schemas-'))
  const file = join(folder, 'schemas.mjs')
  await writeFile(file, outputFiles[0]?.text ?? '')
  const rooms = (await import(pathToFileURL(file).href)) as Module
  await rm(folder, { recursive: true })
  return new Map(FILES.flatMap((path, at) => schemasOf(rooms[`room${at}`] as Module, path)))
}

/** What is in the record of a masked run: most kinds of things that are signed or addressed. */
async function recordedValues(): Promise<readonly unknown[]> {
  const reader = await CarReader.fromBytes(readFileSync(join(import.meta.dirname, '../vectors/masked-run.car')))
  const values: unknown[] = []
  for await (const { cid, bytes } of reader.blocks()) {
    if (cid.code !== DAG_CBOR) continue
    const value = dagCbor.decode<Module>(bytes)
    values.push(value)
    // A signed block: its body is a block within it.
    const body = value['b']
    if (body instanceof Object && Object.prototype.toString.call(body) === '[object Uint8Array]')
      values.push(dagCbor.decode(body as Uint8Array))
  }
  return values
}

/** Bytes where a list is due make it throw, in both alike. */
function read(schema: Schema, value: unknown): ReturnType<Schema['safeDecode']> {
  try {
    return schema.safeDecode(value)
  } catch {
    return { success: false }
  }
}

/** The value with what stands at the end of a path changed. */
function changed(value: unknown, path: readonly number[], to: unknown): unknown {
  const [first, ...rest] = path
  if (first === undefined) return to
  if (Array.isArray(value) && value.length > 0)
    return value.with(first % value.length, changed(value[first % value.length], rest, to))
  if (value === null || typeof value !== 'object' || Object.getPrototypeOf(value)?.constructor?.name !== 'Object')
    return to
  const entries = Object.entries(value)
  const [name, inner] = entries[first % Math.max(1, entries.length)] ?? ['more', undefined]
  return { ...value, [rest.length === 0 && to === undefined ? 'more' : name]: changed(inner, rest, to) }
}

test('the schemas of a page take what ours take, refuse what ours refuse, and read the same in it', async () => {
  const page = await pageSchemas()
  const ours = new Map<string, Schema>()
  for (const path of FILES)
    for (const [name, schema] of schemasOf(
      (await import(new URL(`../../${path}`, import.meta.url).href)) as Module,
      path,
    ))
      ours.set(name, schema)
  expect([...page.keys()].sort()).toEqual([...ours.keys()].sort())
  expect(ours.size).toBeGreaterThan(60)
  const recorded = await recordedValues()
  const taken = new Set<string>()
  const compare = (value: unknown) => {
    for (const [name, schema] of ours) {
      const [due, got] = [read(schema, value), read(page.get(name) as Schema, value)]
      if (due.success) taken.add(name)
      if (due.success !== got.success) throw new Error(`${name}: ${due.success} here, ${got.success} in a page`)
      if (due.success) expect(got.data).toEqual(due.data)
    }
  }
  for (const value of recorded) compare(value)
  expect(taken.size).toBeGreaterThan(15)
  const junk = fc.oneof(
    fc.constantFrom<unknown>(undefined, null, true, '', 'none', -1, 0, 1, 0.5, 2 ** 53, [], {}),
    fc.string(),
    fc.integer(),
    fc.uint8Array({ maxLength: 40 }),
  )
  const path = fc.array(fc.nat(20), { minLength: 1, maxLength: 4 })
  fc.assert(
    fc.property(fc.constantFrom(...recorded), path, junk, (value, at, to) => compare(changed(value, at, to))),
    { numRuns: 300 },
  )
})
