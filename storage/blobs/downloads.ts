import { carHeader, carSection, walk } from '#protocol/car.ts'
import { codecOf, DAG_CBOR, DAG_PB } from '#protocol/cid.ts'
import type { Block } from '#protocol/envelope.ts'
import { partsOf } from '#protocol/file-node.ts'
import type { Bytes, Cid } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { BlobCorrupt, BlobMissing } from '#protocol/ports.ts'
import { fileSizeOf } from '#protocol/unixfs.ts'
import { type Asked, answerProblem, answerStream, problemOf } from './answers.ts'
import type { Differing } from './differing.ts'
import type { Readable } from './hot-blocks.ts'
import { type Form, formOf, matches } from './negotiation.ts'
import type { Pace } from './pace.ts'
import { spanOf } from './ranges.ts'
import { type Tickets, ticketIn } from './tickets.ts'
import type { Transfers } from './transfers.ts'

export type DownloadDoors = {
  readonly blobs: Readable
  /** What members of a run may read besides; absent where nothing is withheld. */
  readonly members?: { readonly withheld: Readable; readonly tickets: Pick<Tickets, 'check'> }
  readonly transfers: Transfers
  readonly differing?: Differing | undefined
}

/** Answers a GET or HEAD. @returns how it ended */
export async function download(asked: Asked, doors: DownloadDoors, cid: Named): Promise<string> {
  const form = formOf(asked.request, asked.query)
  if (!form.ok) return answerProblem(asked, problemOf(form.refusal, form.detail))
  using transfer = doors.transfers.begin(asked.request)
  if (!transfer) return answerProblem(asked, problemOf('busy', 'all places for downloads are taken'))
  try {
    if (cid === PROBE) return await send(asked, transfer.pace, probe(form.value))
    return await send(asked, transfer.pace, await find(asked, doors, cid, form.value))
  } catch (cause) {
    if (asked.response.headersSent) throw cause
    if (cause instanceof BlobMissing) return answerProblem(asked, missing(asked))
    if (cause instanceof BlobCorrupt) return answerProblem(asked, problemOf('damaged', cause.message))
    if (cause instanceof NotThisForm) return answerProblem(asked, problemOf(cause.code, cause.message))
    throw cause
  }
}

/** The identity CID of no bytes: clients ask for it to learn whether this is a gateway. */
export const PROBE = 'bafkqaaa'

export type Named = Cid | typeof PROBE
type Pieces = AsyncIterable<Bytes>

/** One form of a blob. `sizeBytes` is known where ranges are served; a CAR is made as it is sent. */
type Representation = {
  readonly cid: Named
  readonly form: Form
  readonly etag: string
  readonly contentType: string
  readonly fileName: string
  readonly sizeBytes: number | undefined
  /** Whether only members may read it. */
  readonly isWithheld?: boolean
  pieces(first: number, length: number): Pieces
}

class NotThisForm extends Error {
  readonly code: 'not-acceptable' | 'bad-range'
  constructor(code: 'not-acceptable' | 'bad-range', message: string) {
    super(message)
    this.code = code
  }
}

/**
 * What is public, for anybody; then, for a seat of a run whose vectors are withheld, what is withheld: its members add up
 * what the coordinator did. Any other ticket, or one that has expired, is as none.
 */
async function find({ request }: Asked, doors: DownloadDoors, cid: Cid, form: Form): Promise<Representation> {
  try {
    return (await differenceOf(cid, form, doors)) ?? (await representationOf(cid, form, doors.blobs))
  } catch (cause) {
    const { members } = doors
    const text = cause instanceof BlobMissing ? ticketIn(request.headers.authorization) : undefined
    const ticket = text === undefined ? undefined : members?.tickets.check(text)
    if (!members || !ticket?.ok || ticket.value.publish !== 'commit-only') throw cause
    return { ...(await representationOf(cid, form, members.withheld)), isWithheld: true }
  }
}

/** What stands for a leaf to whoever has another: where it is asked for and can be had. Else the leaf itself is the answer. */
async function differenceOf(cid: Cid, form: Form, { differing }: DownloadDoors): Promise<Representation | undefined> {
  if (form.kind !== 'raw' || form.from === undefined) return undefined
  const bytes = await differing?.(form.from, cid)
  return (
    bytes && {
      ...{ cid, form, contentType: DIFFERENCE_TYPE, fileName: `${cid}.difference`, sizeBytes: bytes.length },
      etag: `"${cid}.from.${form.from}"`,
      pieces: (first, length) => once(bytes.subarray(first, first + length)),
    }
  )
}

/** Throws {@link BlobMissing} unless the first block is here, and for a file all of them: before anything is sent. */
async function representationOf(cid: Cid, form: Form, blobs: Readable): Promise<Representation> {
  const root = { cid, bytes: await blobs.getBlock(cid, BLOCK_BYTES_MAX) }
  switch (form.kind) {
    case 'raw':
      return {
        cid,
        form,
        etag: `"${cid}.raw"`,
        contentType: RAW_TYPE,
        fileName: `${cid}.bin`,
        sizeBytes: root.bytes.length,
        pieces: (first, length) => once(root.bytes.subarray(first, first + length)),
      }
    case 'car':
      return {
        cid,
        form,
        etag: `W/"${cid}.car.${form.scope}${form.bytes ? `.${form.bytes.from}_${form.bytes.to}` : ''}"`,
        contentType: CAR_TYPE,
        fileName: `${cid}.car`,
        sizeBytes: undefined,
        pieces: () => carOf(root, form, blobs),
      }
    case 'file': {
      const size = fileSizeOf(root)
      if (!size.ok) throw new NotThisForm('not-acceptable', 'this is not a file: ask for format=raw or format=car')
      if (!(await blobs.has(cid))) throw new BlobMissing(cid)
      return {
        cid,
        form,
        etag: `"${cid}"`,
        contentType: codecOf(cid) === DAG_CBOR ? 'application/vnd.ipld.dag-cbor' : 'application/octet-stream',
        fileName: `${cid}.bin`,
        sizeBytes: size.value,
        pieces: (offset, length) => blobs.get(cid, { offset, length, limitBytes: size.value }),
      }
    }
  }
}

async function send(asked: Asked, pace: Pace, what: Representation): Promise<string> {
  const { request, response } = asked
  response.setHeader('ETag', what.etag)
  response.setHeader('Cache-Control', what.isWithheld ? 'no-store' : 'public, max-age=29030400, immutable')
  response.appendHeader('Vary', 'Accept')
  response.setHeader('X-Content-Type-Options', 'nosniff')
  response.setHeader('X-Ipfs-Path', `/ipfs/${what.cid}`)
  response.setHeader('X-Ipfs-Roots', what.cid)
  if (what.form.kind !== 'file' && !asked.query.has('format'))
    response.setHeader('Content-Location', `/ipfs/${what.cid}?format=${what.form.kind}`)
  if (matches(request.headers['if-none-match'], what.etag)) {
    response.statusCode = 304
    await new Promise<void>((resolve) => response.end(resolve))
    return 'not-modified'
  }
  response.setHeader('Content-Type', what.contentType)
  response.setHeader('Content-Disposition', `attachment; filename="${what.fileName}"`)
  response.setHeader('Accept-Ranges', what.sizeBytes === undefined ? 'none' : 'bytes')
  let [first, length] = [0, what.sizeBytes ?? 0]
  if (what.sizeBytes !== undefined) {
    // A validator that is not this one means: the client has the beginning of something else.
    const ifRange = request.headers['if-range']
    const ranged = request.method === 'GET' && (ifRange === undefined || ifRange === what.etag)
    const span = spanOf(ranged ? request.headers.range : undefined, what.sizeBytes)
    if (span === 'unsatisfiable') {
      response.setHeader('Content-Range', `bytes */${what.sizeBytes}`)
      return answerProblem(asked, problemOf('unsatisfiable-range', `the file has ${what.sizeBytes} bytes`))
    }
    if (span !== 'whole') {
      ;[first, length] = [span.first, span.last - span.first + 1]
      response.statusCode = 206
      response.setHeader('Content-Range', `bytes ${span.first}-${span.last}/${what.sizeBytes}`)
    }
    response.setHeader('Content-Length', length)
  }
  if (request.method === 'HEAD') await new Promise<void>((resolve) => response.end(resolve))
  else await answerStream(asked, what.pieces(first, length), pace)
  return what.contentType === DIFFERENCE_TYPE ? 'difference-sent' : 'sent'
}

/** A CARv1 with the asked part of the DAG, depth first, each block once. */
async function* carOf(root: Block, form: Form & { readonly kind: 'car' }, blobs: Readable): Pieces {
  yield carHeader(root.cid)
  const block = async (cid: Cid) => (cid === root.cid ? root.bytes : blobs.getBlock(cid, BLOCK_BYTES_MAX))
  const only = form.scope === 'block' || (form.scope === 'entity' && codecOf(root.cid) !== DAG_PB)
  if (only) return yield carSection(root)
  if (form.bytes === undefined) {
    for await (const found of walk(root.cid, block)) yield carSection(found)
    return
  }
  const size = fileSizeOf(root)
  if (!size.ok) return yield carSection(root)
  const [from, to] = [form.bytes.from, form.bytes.to].map((at) => (at < 0 ? size.value + at : at)) as [number, number]
  yield* carOfRange(root, Math.max(from, 0), Math.min(to, size.value - 1), block, new Set())
}

/** The blocks on the way to the bytes `first` to `last` of the file under this one. */
async function* carOfRange(
  here: Block,
  first: number,
  last: number,
  block: (cid: Cid) => Promise<Bytes>,
  seen: Set<Cid>,
): Pieces {
  if (!seen.has(here.cid)) yield carSection(here)
  seen.add(here.cid)
  const parts = partsOf(here)
  let start = 0
  for (const part of parts.ok ? parts.value : []) {
    const [from, to] = [Math.max(first - start, 0), Math.min(last - start, part.sizeBytes - 1)]
    start += part.sizeBytes
    if (from > to) continue
    yield* carOfRange({ cid: part.cid, bytes: await block(part.cid) }, from, to, block, seen)
  }
}

function missing({ request }: Asked) {
  const cached = request.headers['cache-control']?.includes('only-if-cached')
  return cached ? problemOf('only-if-cached', 'the blob is not here') : problemOf('not-found', 'the blob is not here')
}

/** The empty block that every gateway has. */
function probe(form: Form): Representation {
  const car = form.kind === 'car'
  return {
    cid: PROBE,
    form,
    etag: `"${PROBE}.${form.kind}"`,
    contentType: car ? CAR_TYPE : RAW_TYPE,
    fileName: `${PROBE}.${car ? 'car' : 'bin'}`,
    sizeBytes: car ? undefined : 0,
    pieces: () => once(car ? carHeader(PROBE as string as Cid) : new Uint8Array(0)),
  }
}

async function* once(bytes: Bytes): Pieces {
  if (bytes.length > 0) yield bytes
}

const DIFFERENCE_TYPE = 'application/vnd.consilium.difference'
const RAW_TYPE = 'application/vnd.ipld.raw'
const CAR_TYPE = 'application/vnd.ipld.car; version=1; order=dfs; dups=n'
