import { isBuiltin } from 'node:module'
import { posix } from 'node:path'

export type Violation = { readonly path: string; readonly rule: Rule; readonly detail: string }
export type Rule =
  | 'sees'
  | 'unresolved'
  | 'specifier'
  | 'root-imported'
  | 'isomorphic'
  | 'dependency'
  | 'clock-or-chance'
  | 'barrel'
  | 'file-name'
  | 'default-export'
  | 'not-erasable'
  | 'leftover-mark'
  | 'focused-or-hidden-test'
  | 'machine-path'
  | 'too-long'
  | 'no-copy'

/** What each room may import, by room or by file. A room always sees itself; `#crypto` is part of protocol. */
const SEES: Readonly<Record<string, readonly string[]>> = {
  protocol: [],
  aggregation: ['protocol/'],
  storage: ['protocol/'],
  payments: ['protocol/'],
  threads: ['protocol/', 'aggregation/', 'verify/'],
  verify: ['protocol/', 'aggregation/', 'payments/allocate.ts', 'payments/ledger.ts'],
  coordinator: ['protocol/', 'aggregation/', 'payments/allocate.ts', 'payments/ledger.ts', 'verify/'],
  client: ['protocol/', 'aggregation/', 'verify/'],
  sdk: ['protocol/'],
  sim: [],
  cli: [],
  dashboard: [],
  bench: [],
  test: [],
}
/** Roots open doors, so they see every room. Nobody but another root imports one. */
const ROOTS = [
  'coordinator/main.ts',
  'coordinator/keeping.ts',
  'coordinator/shared-keeping.ts',
  'coordinator/peer.ts',
  'coordinator/stores.ts',
  'client/node.ts',
  'client/sharing.ts',
  'client/browser.ts',
  'client/lend/',
  'sim/',
  'cli/',
  'dashboard/',
  'bench/',
  'test/',
]
/** Runs in Node and in a browser; so does what these files import from their own room. */
const ISOMORPHIC = [
  'protocol/',
  'aggregation/',
  'verify/',
  'sdk/',
  'client/participate.ts',
  'storage/blobs/remote.ts',
  'payments/allocate.ts',
  'payments/ledger.ts',
]
const NODE_ONLY = ['protocol/crypto/node.ts']
/** Needs no package: types may come from anywhere, but what runs is ours, however far it reaches. */
const FREE = ['sdk/']
/** It reads Keras, and is imported by itself. */
const NOT_FREE = ['sdk/keras.ts']
/** Time and chance arrive here as arguments. */
const PURE = [
  'protocol/',
  'aggregation/',
  'verify/',
  'coordinator/round/',
  'payments/allocate.ts',
  'payments/ledger.ts',
]
const CRYPTO = 'protocol/crypto/'

const NAMELESS = /^(utils?|helpers?|common|misc|shared|index)\.(ts|js|mjs)$/
/** Spelt so that this file does not hold what it looks for. */
const MARK = /\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b/
const MACHINE = /(?:^|[\s"'`(=:])\/(?:work|farm|home|root|Users)\/\w|\bregistry\.[a-z]+\.[a-z]+\b|\bnpmjs\.org\b/
const LINES_MAX = 400
export const LINES_SOFT = 300

/**
 * The architecture's law over a tree of files.
 * @param files path from the repository's root → text
 */
export function tidy(files: ReadonlyMap<string, string>): readonly Violation[] {
  const found: Violation[] = []
  const sources = new Map([...files].filter(([path]) => /\.tsx?$/.test(path)).map(([path, text]) => [path, read(text)]))
  const isomorphic = closure(sources)
  for (const [path, text] of files) {
    const say = (rule: Rule, detail: string): void => void found.push({ path, rule, detail })
    everyFile(path, text, say)
    const source = sources.get(path)
    if (!source) continue
    everySource(path, text, source, say)
    imports(path, source, files, say)
    if (isomorphic.has(path)) sameEverywhere(source, say)
    if (inside(path, FREE) && !NOT_FREE.includes(path)) free(path, sources, say)
    if (inside(path, PURE)) pure(path, source, say)
  }
  return found
}

type Say = (rule: Rule, detail: string) => void
type Import = {
  readonly specifier: string
  readonly kind: 'static' | 'dynamic' | 'url'
  /** `import type`: gone when the file runs. */
  readonly isType: boolean
}
type Source = { readonly code: string; readonly imports: readonly Import[] }

function everyFile(path: string, text: string, say: Say): void {
  const name = posix.basename(path)
  if (NAMELESS.test(name)) say('file-name', `${name} names no noun`)
  const mark = MARK.exec(text)
  if (mark) say('leftover-mark', mark[0])
  const machine = MACHINE.exec(text)
  if (machine) say('machine-path', machine[0].trim())
}

function everySource(path: string, text: string, { code }: Source, say: Say): void {
  const lines = text.split('\n').length - 1
  if (lines > LINES_MAX) say('too-long', `${lines} lines, at most ${LINES_MAX}`)
  if (/^\s*export\s+default\b/m.test(code)) say('default-export', 'a name is worth more')
  const odd = /^\s*(?:export\s+)?(?:declare\s+)?(?:const\s+)?(enum|namespace)\s+\w+\s*\{/m.exec(code)
  if (odd) say('not-erasable', odd[1] as string)
  const rest = code
    .replace(/^\s*import\b[^;{]*?(?:\{[^}]*\})?[^;\n]*$/gm, '')
    .replace(/^\s*export\s+(?:type\s+)?(?:\*[^\n]*|\{[^}]*\}\s*from[^\n]*)$/gm, '')
  const forwards = /^\s*export\s+(?:type\s+)?(?:\*|\{[^}]*\}\s*from)/m.test(code)
  if (/^\s*export\s+\*/m.test(code) || (forwards && rest.trim() === ''))
    say('barrel', 'import from the file that owns it')
  if (!inside(path, ['test/'])) {
    if (/\.slice\(\)/.test(code)) say('no-copy', 'of a Buffer .slice() is no copy: copyOf(bytes), or [...list]')
    return
  }
  const focused =
    /\b(?:test|it|describe)\s*\.\s*only\b|\bdescribe\s*\.\s*skip\b|\b(?:test|it)\s*\.\s*todo\b|\bfdescribe\s*\(|\bx(?:it|test|describe)\s*\(/
  const hidden = focused.exec(code)
  if (hidden) say('focused-or-hidden-test', hidden[0])
}

/** Tests may call their own helpers `#test/…`: their folders are many and flat names read better. */
function imports(path: string, source: Source, files: ReadonlyMap<string, string>, say: Say): void {
  const room = roomOf(path)
  for (const { specifier, kind } of source.imports) {
    const target = targetOf(path, specifier)
    if (target === undefined) continue
    const away = roomOf(target)
    if (specifier.startsWith('#') === (away === room) && !(away === 'test' && room === 'test')) {
      const how = away === room ? "inside a room it is './' or '../'" : `between rooms it is '#${away}/…'`
      if (kind !== 'url') say('specifier', `${specifier}: ${how}`)
    }
    if (!files.has(target)) say('unresolved', specifier)
    if (inside(path, ROOTS)) continue
    if (away !== room && !inside(target, SEES[room] ?? [])) say('sees', `${room} may not see ${target}`)
    if (inside(target, ROOTS)) say('root-imported', `${target} opens doors; only roots import it`)
  }
}

/** What a file loads when it runs, and what that loads in turn, from whichever room. */
function free(path: string, sources: ReadonlyMap<string, Source>, say: Say): void {
  const known = new Set<string>([path])
  for (const from of known)
    for (const { specifier, isType } of sources.get(from)?.imports ?? []) {
      if (isType) continue
      const target = targetOf(from, specifier)
      if (target === undefined) say('dependency', `${specifier}, which ${from} needs`)
      else known.add(target)
    }
}

function sameEverywhere({ code, imports }: Source, say: Say): void {
  for (const { specifier } of imports) if (isBuiltin(specifier)) say('isomorphic', specifier)
  const global = /(?<![.\w$])(process|Buffer|__dirname|require|setImmediate)\b(?!\s*[:?])/.exec(code)
  if (global) say('isomorphic', global[1] as string)
}

function pure(path: string, { code }: Source, say: Say): void {
  const clock =
    /\bDate\s*\.\s*now\b|\bnew\s+Date\s*(?:\(\s*\)|(?!\s*\())|(?<!new\s)\bDate\s*\(|\bperformance\s*\.|(?<![.\w$])set(?:Timeout|Interval|Immediate)\b|\bAbortSignal\s*\.\s*timeout\b/.exec(
      code,
    )
  if (clock) say('clock-or-chance', clock[0])
  if (path.startsWith(CRYPTO)) return
  const chance = /\bMath\s*\.\s*random\b|\brandomBytes\b|\brandomUUID\b|\bgetRandomValues\b/.exec(code)
  if (chance) say('clock-or-chance', chance[0])
}

/** The isomorphic files, and what they import in turn from their own room. */
function closure(sources: ReadonlyMap<string, Source>): ReadonlySet<string> {
  const known = new Set<string>()
  const ahead = [...sources.keys()].filter((path) => inside(path, ISOMORPHIC))
  for (let path = ahead.pop(); path !== undefined; path = ahead.pop()) {
    if (known.has(path) || NODE_ONLY.includes(path)) continue
    known.add(path)
    for (const { specifier } of sources.get(path)?.imports ?? []) {
      const target = targetOf(path, specifier)
      if (target !== undefined && sources.has(target) && roomOf(target) === roomOf(path)) ahead.push(target)
    }
  }
  return known
}

/** The file that a specifier means; undefined for a package and for `#crypto`, which protocol shows to all. */
function targetOf(from: string, specifier: string): string | undefined {
  if (specifier === '#crypto') return undefined
  if (specifier.startsWith('#')) return specifier.slice(1)
  return specifier.startsWith('.') ? posix.join(posix.dirname(from), specifier) : undefined
}

function roomOf(path: string): string {
  return path.split('/')[0] as string
}

function inside(path: string, places: readonly string[]): boolean {
  return places.some((place) => path === place || (place.endsWith('/') && path.startsWith(place)))
}

const FROM = /(?:^|[\s;}])(?:import|export)\b[^'"`;]*?\bfrom\s*(['"])|(?:^|[\s;}])import\s*(['"])/g
const DYNAMIC = /\bimport\s*\(\s*(['"])/g
const URL_OF = /\bnew\s+URL\s*\(\s*(['"])(?=[^'"]*\1\s*,\s*import\s*\.\s*meta\s*\.\s*url)/g

function read(text: string): Source {
  const code = blank(text)
  const specifiers = (pattern: RegExp, kind: Import['kind']): Import[] =>
    [...code.matchAll(pattern)].map((match) => {
      const start = match.index + match[0].length
      const isType = /^[\s;}]*(?:import|export)\s+type\b/.test(match[0])
      return { specifier: text.slice(start, code.indexOf(code[start - 1] as string, start)), kind, isType }
    })
  return {
    code,
    imports: [...specifiers(FROM, 'static'), ...specifiers(DYNAMIC, 'dynamic'), ...specifiers(URL_OF, 'url')],
  }
}

const TOKEN =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`|[{}]|\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])*\/[a-z]*/g
const TEMPLATE = /(?:\\[\s\S]|\$(?!\{)|[^\\`$])*(?:`|\$\{)/g

/** The text with comments and the insides of strings, templates and patterns as spaces: same length, same lines. */
export function blank(text: string): string {
  let out = ''
  let at = 0
  const keep = (end: number): void => {
    out += text.slice(at, end)
    at = end
  }
  const hide = (end: number): void => {
    out += text.slice(at, end).replace(/[^\n]/g, ' ')
    at = end
  }
  /** Braces open in each template's `${`, innermost last. */
  const depths: number[] = []
  const template = (): void => {
    TEMPLATE.lastIndex = at
    const end = TEMPLATE.exec(text) ? TEMPLATE.lastIndex : text.length
    const opens = text.endsWith('${', end)
    hide(opens ? end - 2 : end - 1)
    keep(end)
    if (opens) depths.push(0)
  }
  TOKEN.lastIndex = 0
  for (let match = TOKEN.exec(text); match; match = TOKEN.exec(text)) {
    const token = match[0]
    const first = token[0] as string
    keep(match.index)
    if (token.startsWith('//') || token.startsWith('/*')) hide(at + token.length)
    else if (first === '"' || first === "'") {
      keep(at + 1)
      hide(at + token.length - 2)
      keep(at + 1)
    } else if (first === '`') {
      keep(at + 1)
      template()
    } else if (first === '{') {
      keep(at + 1)
      if (depths.length > 0) depths[depths.length - 1] = (depths.at(-1) as number) + 1
    } else if (first === '}') {
      keep(at + 1)
      if (depths.at(-1) === 0) {
        depths.pop()
        template()
      } else if (depths.length > 0) depths[depths.length - 1] = (depths.at(-1) as number) - 1
    } else if (
      /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|void|await|yield))\s*$/.test(out.trimEnd())
    ) {
      keep(at + 1)
      hide(at + token.length - 1)
    } else keep(at + 1)
    TOKEN.lastIndex = at
  }
  keep(text.length)
  return out
}
