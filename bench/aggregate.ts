import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { accumulate } from '#aggregation/accumulate.ts'
import { ringSum, scriptSum, TILE_BYTES } from '#aggregation/kernels/ring.ts'
import { lanesOf, vectorBytesOf } from '#aggregation/vector.ts'
import { assert } from '#protocol/assert.ts'
import type { Bytes } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { READ_BINARY } from './binary.ts'
import type { Report, Table } from './report.ts'

/** How fast updates are summed, beside how fast this machine can read them at all; and what the sum holds meanwhile. */
export async function bench(): Promise<Report> {
  const cases = [
    { n: 10, parameters: 1_000_000, repeats: 15 },
    { n: 100, parameters: 1_000_000, repeats: 5 },
    { n: 10, parameters: 25_000_000, repeats: 3 },
  ]
  const rows: Table['rows'][number][] = []
  for (const each of cases) rows.push(await throughput(each))
  return {
    bench: 'aggregate',
    notes: [
      'Updates come from memory in pieces of 1 MiB, as a store hands them out; every figure is the best of its repeats.',
      'read: a bare WebAssembly SIMD loop over 256 MiB, in the same minute. first touch: what the operating system takes to',
      'hand out memory for one sum; the sum pays it once a round, and "warm" is the rate without it.',
    ],
    tables: [
      {
        title: 'Throughput',
        columns: [
          'nodes',
          'parameters',
          'GB/s',
          'read GB/s',
          'ratio',
          'first touch ms',
          'warm GB/s',
          'warm ratio',
          'JavaScript GB/s',
        ],
        rows,
      },
      {
        title: 'Memory: how much a process of its own grows, at most, with pieces made on the fly',
        columns: ['nodes', 'parameters', 'updates MB', 'one sum MB', 'grows by MB', 'with a new buffer a piece, MB'],
        rows: [10, 100, 1_000].map((n) => memory(n, 1_000_000)),
      },
    ],
  }
}

async function throughput({ n, parameters, repeats }: { n: number; parameters: number; repeats: number }) {
  const lanes = lanesOf(parameters)
  const bytes = n * vectorBytesOf(parameters)
  // More than any cache holds; the same few updates come again where all together would not fit a small machine.
  const distinct = Math.min(n, Math.ceil(2 ** 29 / vectorBytesOf(parameters)))
  const updates = Array.from({ length: distinct }, (_, seat) =>
    new Uint8Array(vectorBytesOf(parameters)).fill(seat + 1),
  )
  const cohort = () => Array.from({ length: n }, (_, seat) => piecesOf(updates[seat % distinct] as Bytes))
  const [whole, touch, script, reading]: [number[], number[], number[], number[]] = [[], [], [], []]
  const reader = openReader(2 ** 28)
  for (let repeat = 0; repeat < repeats; repeat++) {
    reading.push(2 ** 28 / (await millisOf(reader)) / 1e6)
    whole.push(
      await millisOf(async () => assert((await accumulate(cohort(), lanes)).ok, 'the updates have one length')),
    )
    touch.push(await millisOf(() => ringSum(lanes).lanes.fill(1)))
    if (repeat < 3) script.push(await millisOf(() => addInScript(updates, lanes)))
  }
  const read = Math.max(...reading)
  const rate = (millis: number) => bytes / millis / 1e6
  const warm = rate(Math.min(...whole) - Math.min(...touch))
  const scripted = (distinct * lanes * 4) / Math.min(...script) / 1e6
  return [
    n,
    parameters,
    rate(Math.min(...whole)),
    read,
    rate(Math.min(...whole)) / read,
    Math.min(...touch),
    warm,
    warm / read,
    scripted,
  ].map((value) => (Number.isInteger(value) ? value : value.toFixed(2)))
}

/** The JavaScript twin on the same bytes: what accumulate would do without SIMD. */
function addInScript(updates: readonly Bytes[], lanes: number): void {
  const sum = scriptSum(lanes)
  for (let at = 0; at < lanes * 4; at += TILE_BYTES)
    for (let seat = 0; seat < updates.length; seat += sum.tiles.length) {
      const size = Math.min(TILE_BYTES, lanes * 4 - at)
      for (const [index, tile] of sum.tiles.entries()) {
        const update = updates[seat + index]
        if (update) tile.set(update.subarray(at, at + size))
        else tile.fill(0)
      }
      sum.addTiles(at, size)
    }
}

function memory(n: number, parameters: number) {
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(1)
  const one = vectorBytesOf(parameters)
  const [own, fresh] = ['reused', 'fresh'].map((pieces) => growthOf(n, parameters, pieces)) as [number, number]
  return [n, parameters, megabytes(n * one), megabytes(one), megabytes(own), megabytes(fresh)]
}

/** @returns bytes */
function growthOf(n: number, parameters: number, pieces: string): number {
  const child = fileURLToPath(new URL('./aggregate-memory.ts', import.meta.url))
  const made = spawnSync(process.execPath, [child, String(n), String(parameters), pieces], { encoding: 'utf8' })
  assert(made.status === 0, `the process that measures memory ran: ${made.stderr}`)
  return Number(made.stdout)
}

async function* piecesOf(update: Bytes): AsyncGenerator<Bytes> {
  for (let at = 0; at < update.length; at += BLOCK_BYTES_MAX) yield update.subarray(at, at + BLOCK_BYTES_MAX)
}

type WebAssemblyApi = {
  readonly Memory: new (size: { readonly initial: number }) => { readonly buffer: ArrayBuffer }
  readonly Module: new (binary: Bytes) => object
  readonly Instance: new (compiled: object, imports: object) => { readonly exports: { read(bytes: number): number } }
}

/** A function that reads `sizeBytes` of touched memory once. */
function openReader(sizeBytes: number): () => number {
  const { Memory, Module, Instance } = (globalThis as unknown as { readonly WebAssembly: WebAssemblyApi }).WebAssembly
  const memory = new Memory({ initial: sizeBytes / 65_536 })
  new Uint8Array(memory.buffer).fill(3)
  const compiled = new Module(Buffer.from(READ_BINARY, 'base64'))
  const { read } = new Instance(compiled, { env: { memory } }).exports
  return () => read(sizeBytes)
}

async function millisOf(work: () => unknown): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}
