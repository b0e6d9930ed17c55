import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { blank, LINES_SOFT, type Rule, tidy } from './tidy.ts'

const root = join(import.meta.dirname, '..')
const TEXT = /(\.(tsx?|js|mjs|py|json|md|sh|yml|yaml)|\.ci\/run|\.gitignore|LICENSE)$/

/** What belongs to the project: what git tracks or would, or the whole folder where there is no git. */
function projectFiles(): readonly string[] {
  try {
    return execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).split('\0')
  } catch {
    const away = /(^|\/)(node_modules|dist|coverage|\.consilium|\.git)(\/|$)/
    return readdirSync(root, { recursive: true, encoding: 'utf8' })
      .map((path) => relative(root, join(root, path)).replaceAll('\\', '/'))
      .filter((path) => !away.test(path))
  }
}

const files = new Map(
  projectFiles()
    .filter((path) => TEXT.test(path) && statSync(join(root, path), { throwIfNoEntry: false })?.isFile())
    .map((path) => [path, readFileSync(join(root, path), 'utf8')]),
)

/** Printed, not refused: a file of one noun may be long, and the list says where to look again. */
function printLong(): void {
  for (const [path, text] of files) {
    const lines = text.split('\n').length - 1
    if (/\.tsx?$/.test(path) && lines > LINES_SOFT) process.stderr.write(`long file  ${lines} lines  ${path}\n`)
  }
}

test('this repository keeps the law of its architecture', () => {
  printLong()
  expect(files.size).toBeGreaterThan(20)
  expect(tidy(files)).toEqual([])
})

const clean = 'export const one = 1\n'
/** A small tree that keeps the law; each planted file breaks one rule of it. */
const tree: ReadonlyMap<string, string> = new Map([
  ['protocol/ids.ts', clean],
  ['protocol/crypto/node.ts', "import { randomBytes } from 'node:crypto'\nexport const bytes = () => randomBytes(1)\n"],
  [
    'protocol/limits.ts',
    `// Date.now() is only spoken of here, as in 'Math.random()'\nexport const text = \`process.env $${'{1}'}\`\n`,
  ],
  ['aggregation/ring.ts', "import { one } from '#protocol/ids.ts'\nexport const two = one + one\n"],
  ['payments/allocate.ts', clean],
  ['payments/ledger.ts', clean],
  ['payments/settlements/record.ts', "import { one } from '../ledger.ts'\nexport const held = one\n"],
  [
    'storage/logs/sqlite.ts',
    "import { DatabaseSync } from 'node:sqlite'\nexport const open = () => new DatabaseSync('')\n",
  ],
  ['verify/bundle.ts', "import { one } from '#payments/allocate.ts'\nexport const paid = one\n"],
  [
    'coordinator/round/step.ts',
    "import { one } from '#protocol/ids.ts'\nexport const next = (at: number) => new Date(at + one)\n",
  ],
  ['threads/removal.ts', "import { two } from '#aggregation/ring.ts'\nexport const hands = two\n"],
  ['coordinator/main.ts', "import { open } from '#storage/logs/sqlite.ts'\nexport const up = open\n"],
  ['client/participate.ts', "import { three } from './session.ts'\nexport const go = three\n"],
  ['client/session.ts', 'export const three = 3\n'],
  ['client/node.ts', "import { open } from '#storage/logs/sqlite.ts'\nexport const node = open\n"],
  ['sdk/client.ts', "import type { one } from '#protocol/ids.ts'\nexport type Client = typeof one\n"],
  ['cli/main.ts', "export const main = () => import('#coordinator/main.ts')\n"],
  [
    'test/ring.test.ts',
    "import { two } from '#aggregation/ring.ts'\ntest('one and one is two', () => expect(two).toBe(2))\n",
  ],
])

test('a tree that keeps the law has no violation', () => {
  expect(tidy(tree)).toEqual([])
})

/** Planted source → the one rule that it breaks. Split words keep this file itself clean. */
const planted: readonly (readonly [name: string, path: string, source: string, rule: Rule])[] = [
  [
    'protocol that sees another room',
    'protocol/a.ts',
    "import { two } from '#aggregation/ring.ts'\nexport const a = two\n",
    'sees',
  ],
  [
    'aggregation that sees storage',
    'aggregation/a.ts',
    "import { open } from '#storage/logs/sqlite.ts'\nexport const a = open\n",
    'sees',
  ],
  [
    'a type import across rooms',
    'storage/a.ts',
    "import type { two } from '#aggregation/ring.ts'\nexport type A = typeof two\n",
    'sees',
  ],
  [
    'an SDK that needs a package, by way of another room',
    'sdk/a.ts',
    "import { bytes } from '#protocol/crypto/node.ts'\nexport const a = bytes\n",
    'dependency',
  ],
  ['an SDK that needs a package itself', 'sdk/a.ts', "import { z } from 'zod'\nexport const a = z\n", 'dependency'],
  [
    'an SDK that sees the coordinator, if only a type',
    'sdk/a.ts',
    "import type { next } from '#coordinator/round/step.ts'\nexport type A = typeof next\n",
    'sees',
  ],
  [
    'a coordinator that starts threads itself',
    'coordinator/a.ts',
    "import { hands } from '#threads/removal.ts'\nexport const a = hands\n",
    'sees',
  ],
  ['a lazy import across rooms', 'client/a.ts', "export const a = () => import('#storage/logs/sqlite.ts')\n", 'sees'],
  [
    'an import over several lines',
    'payments/a.ts',
    "import {\n  two,\n} from '#aggregation/ring.ts'\nexport const a = two\n",
    'sees',
  ],
  [
    'a re-export across rooms',
    'storage/b.ts',
    "export { two } from '#aggregation/ring.ts'\nexport const b = 1\n",
    'sees',
  ],
  [
    'verify that sees a settlement',
    'verify/a.ts',
    "import { held } from '#payments/settlements/record.ts'\nexport const a = held\n",
    'sees',
  ],
  [
    'the round that opens a door',
    'coordinator/a.ts',
    "import { open } from '#storage/logs/sqlite.ts'\nexport const a = open\n",
    'sees',
  ],
  [
    'the coordinator that sees the client',
    'coordinator/b.ts',
    "import { three } from '#client/session.ts'\nexport const b = three\n",
    'sees',
  ],
  [
    'a room that imports a root',
    'coordinator/c.ts',
    "import { up } from './main.ts'\nexport const c = up\n",
    'root-imported',
  ],
  ['an import of nothing', 'storage/c.ts', "import { gone } from './gone.ts'\nexport const c = gone\n", 'unresolved'],
  [
    'a worker that is not there',
    'client/b.ts',
    "export const b = new URL('./gone.ts', import.meta.url)\n",
    'unresolved',
  ],
  [
    'a relative path out of the room',
    'aggregation/b.ts',
    "import { one } from '../protocol/ids.ts'\nexport const b = one\n",
    'specifier',
  ],
  [
    'its own room by name',
    'aggregation/c.ts',
    "import { two } from '#aggregation/ring.ts'\nexport const c = two\n",
    'specifier',
  ],
  [
    'node: in an isomorphic room',
    'verify/b.ts',
    "import { readFileSync } from 'node:fs'\nexport const b = readFileSync\n",
    'isomorphic',
  ],
  [
    'a bare builtin in an isomorphic room',
    'aggregation/d.ts',
    "import { cpus } from 'os'\nexport const d = cpus\n",
    'isomorphic',
  ],
  ['process in an isomorphic room', 'protocol/b.ts', 'export const b = process.platform\n', 'isomorphic'],
  ['Buffer inside a template', 'protocol/c.ts', `export const c = \`$${"{Buffer.from('a')}"}\`\n`, 'isomorphic'],
  ['a clock in the round', 'coordinator/round/a.ts', 'export const a = () => Date.now()\n', 'clock-or-chance'],
  ['a new date of now', 'verify/c.ts', 'export const c = () => new Date()\n', 'clock-or-chance'],
  ['a timer in protocol', 'protocol/d.ts', 'export const d = () => setTimeout(() => 1, 1)\n', 'clock-or-chance'],
  ['a stopwatch in aggregation', 'aggregation/e.ts', 'export const e = () => performance.now()\n', 'clock-or-chance'],
  ['chance in the round', 'coordinator/round/b.ts', 'export const b = () => Math.random()\n', 'clock-or-chance'],
  [
    'random bytes in aggregation',
    'aggregation/f.ts',
    "import { randomBytes } from '#crypto'\nexport const f = randomBytes\n",
    'clock-or-chance',
  ],
  ['a barrel of names', 'storage/d.ts', "export { open } from './logs/sqlite.ts'\n", 'barrel'],
  ['a barrel of everything', 'storage/e.ts', "export * from './logs/sqlite.ts'\nexport const e = 1\n", 'barrel'],
  ['a file without a noun', 'storage/utils.ts', clean, 'file-name'],
  ['a default export', 'storage/f.ts', 'export default 1\n', 'default-export'],
  ['an enum', 'storage/g.ts', 'export enum Colour { Red }\n', 'not-erasable'],
  ['a namespace', 'storage/h.ts', 'export namespace N { export const a = 1 }\n', 'not-erasable'],
  ['a mark in a comment', 'storage/i.ts', `// ${'TO'}${'DO'}: later\n${clean}`, 'leftover-mark'],
  ['a mark in a document', 'docs/a.md', `${'FIX'}${'ME'}\n`, 'leftover-mark'],
  ['a focused test', 'test/a.test.ts', "test.only('a', () => 1)\n", 'focused-or-hidden-test'],
  ['a hidden group', 'test/b.test.ts', "describe.skip('b', () => 1)\n", 'focused-or-hidden-test'],
  ['a test still to be written', 'test/c.test.ts', "test.todo('c')\n", 'focused-or-hidden-test'],
  ['a path of one machine', 'docs/b.md', `see ${'/ho'}${'me/ada/consilium'}\n`, 'machine-path'],
  ["a registry's host", '.ci/run', `npm ci --registry=https://${'registry'}.example.org\n`, 'machine-path'],
  ['a copy that is none of a Buffer', 'storage/s.ts', 'export const s = (b: Uint8Array) => b.slice()\n', 'no-copy'],
  ['a file of 401 lines', 'storage/j.ts', 'export {}\n'.repeat(401), 'too-long'],
]

describe('a planted violation is caught', () => {
  test.each(planted)('%s', (_name, path, source, rule) => {
    expect(tidy(new Map([...tree, [path, source]])).map(({ path, rule }) => ({ path, rule }))).toEqual([{ path, rule }])
  })

  test('node: in a file that only the isomorphic client imports', () => {
    const found = tidy(
      new Map([...tree, ['client/session.ts', "import { cpus } from 'node:os'\nexport const three = cpus\n"]]),
    )
    expect(found).toEqual([{ path: 'client/session.ts', rule: 'isomorphic', detail: 'node:os' }])
  })
})

test('what is inside strings, comments and patterns is not code, and what is inside a template hole is', () => {
  const hole = '$' + '{'
  const text = `const a = 'x // y' // Date.now\nconst b = /['\`]/.test(\`${hole}a + \`${hole}'q'}\` + Date} $ }\`) / 2 /* ' */\n`
  const code = blank(text)
  expect(code).toHaveLength(text.length)
  expect(code.split('\n')).toHaveLength(3)
  expect(code.match(/Date/g)).toHaveLength(1)
  expect(code).not.toMatch(/[xyq]/)
})
