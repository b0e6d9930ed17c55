import type { IncomingMessage } from 'node:http'
import { parseCid } from '#protocol/cid.ts'
import type { Cid } from '#protocol/ids.ts'
import { accept, type Result, refuse } from '#protocol/result.ts'

/** Both ends included; a negative number counts from the end of the file. */
type EntityBytes = { readonly from: number; readonly to: number }

export type Form =
  /** `from`: a block of which whoever asks has the bytes, so that the difference from it would do. */
  | { readonly kind: 'raw'; readonly from?: Cid }
  | { readonly kind: 'car'; readonly scope: 'block' | 'entity' | 'all'; readonly bytes?: EntityBytes }
  | { readonly kind: 'file' }

export type FormRefusal = 'bad-format' | 'bad-scope' | 'not-acceptable'

/** Which form of a blob a request wants: `format` decides, else the best of `Accept` that we have, else the file. */
export function formOf(request: IncomingMessage, query: URLSearchParams): Result<Form, FormRefusal> {
  const wanted = best(request.headers.accept ?? '')
  const format = query.get('format') ?? formats[wanted.type] ?? 'file'
  if (format === 'raw') return rawFrom(query.get('from'))
  if (format === 'file' && !query.has('format')) return accept({ kind: 'file' })
  if (format !== 'car') return refuse('bad-format', 'a format is raw or car')
  const version = query.get('car-version') ?? wanted.parameters['version'] ?? '1'
  const order = query.get('car-order') ?? wanted.parameters['order'] ?? 'dfs'
  if (version !== '1' || (order !== 'dfs' && order !== 'unk'))
    return refuse('not-acceptable', 'CARs here are version=1; order=dfs; dups=n')
  return scopeOf(query)
}

function rawFrom(text: string | null): Result<Form, FormRefusal> {
  if (text === null) return accept({ kind: 'raw' })
  const from = parseCid(text)
  return from.ok ? accept({ kind: 'raw', from: from.value }) : refuse('bad-format', `from: ${from.detail}`)
}

function scopeOf(query: URLSearchParams): Result<Form, FormRefusal> {
  const range = query.get('entity-bytes')
  const scope = query.get('dag-scope') ?? (range === null ? 'all' : 'entity')
  if (scope !== 'block' && scope !== 'entity' && scope !== 'all')
    return refuse('bad-scope', 'a dag-scope is block, entity or all')
  if (range === null) return accept({ kind: 'car', scope })
  const [, from, to] = /^(-?\d{1,15}):(-?\d{1,15}|\*)$/.exec(range) ?? []
  if (from === undefined || to === undefined) return refuse('bad-scope', 'entity-bytes is from:to, or from:*')
  const bytes = { from: Number(from), to: to === '*' ? Number.MAX_SAFE_INTEGER : Number(to) }
  return accept({ kind: 'car', scope: 'entity', bytes })
}

/** RFC 9110 section 13.1.2: weak comparison, any of a list, or `*`. */
export function matches(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false
  const plain = (text: string) => text.trim().replace(/^W\//, '')
  return ifNoneMatch.split(',').some((tag) => tag.trim() === '*' || plain(tag) === plain(etag))
}

const formats: Readonly<Record<string, string>> = {
  'application/vnd.ipld.raw': 'raw',
  'application/vnd.ipld.car': 'car',
}

type MediaRange = { readonly type: string; readonly parameters: Readonly<Record<string, string>> }

/** The first of the media ranges with the highest weight, RFC 9110 section 12.5.1. */
function best(accepted: string): MediaRange {
  let found = { type: '', parameters: {}, weight: 0 }
  for (const text of accepted.split(',').slice(0, MEDIA_RANGES_MAX)) {
    const [type = '', ...rest] = text.split(';').map((part) => part.trim().toLowerCase())
    const parameters = Object.fromEntries(rest.map((part) => part.split('=', 2).map((side) => side.trim())))
    const weight = Number(parameters['q'] ?? '1')
    if (weight > found.weight) found = { type, parameters, weight }
  }
  return found
}

const MEDIA_RANGES_MAX = 50
