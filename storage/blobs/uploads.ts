import { codecOf, DAG_CBOR, DAG_PB, parseCid } from '#protocol/cid.ts'
import { extentOf, type FilePart, filePartsOf } from '#protocol/file-tree.ts'
import type { Cid, Millis } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import type { PartsStore } from '#protocol/ports.ts'
import type { Ticket } from '#protocol/ticket.ts'
import { fileSizeOf } from '#protocol/unixfs.ts'
import { type Asked, answerProblem, answerWhole, type ProblemCode, problemOf } from './answers.ts'
import { OpenUploads } from './open-uploads.ts'
import { receiveBlock, refusalOf } from './receiving.ts'
import { seatNameOf, type Tickets, ticketIn } from './tickets.ts'
import type { Transfer, Transfers } from './transfers.ts'

type UploadDoors = {
  readonly blobs: PartsStore
  readonly withheld: PartsStore
  readonly tickets: Tickets
  readonly transfers: Transfers
}

type Upload = (asked: Asked, cid: Cid) => Promise<string>

/** A request that shows a good ticket. */
type Order = { readonly asked: Asked; readonly cid: Cid; readonly ticket: Ticket; readonly store: PartsStore }

/**
 * `PUT /ipfs/{cid}`: one block at a time, kept only when it is that block. A blob of one block is one request. A file of
 * several is opened by its root node, which is answered with the parts that are not here; each of them is sent under the
 * root's name (`?of=`), an inner node answered in the same way; and the root, sent again, is answered when all is here: 201, or
 * 200 when it was here already. What came is kept for as long as the ticket, and a day more; it is a blob once its seat has
 * reported it, so that what nobody reports is swept away. Everything that can be refused without reading is refused first.
 *
 * What comes under a `commit-only` ticket goes to a store of its own, and only such a ticket is told what is there.
 */
export function openUploads({ blobs, withheld, tickets, transfers }: UploadDoors): Upload {
  const opened = new OpenUploads()

  return async (asked, cid) => {
    const { request, query } = asked
    const ticketText = ticketIn(request.headers.authorization)
    if (ticketText === undefined) return no(asked, 'no-ticket', 'an upload needs Authorization: Bearer and its ticket')
    const ticket = tickets.check(ticketText)
    if (!ticket.ok) return no(asked, ticket.refusal, ticket.detail)
    if (codecOf(cid) === DAG_CBOR) return no(asked, 'not-uploadable', 'manifests are not uploaded')
    if (request.headers['content-encoding'] !== undefined)
      return no(asked, 'encoded-body', 'send the bytes as they are')
    const store = ticket.value.publish === 'full' ? blobs : withheld
    const order = { asked, cid, ticket: ticket.value, store }
    const of = query.get('of')
    if (of === null && codecOf(cid) !== DAG_PB) return takeBlob(order)
    if (request.headers['content-type'] !== RAW_BLOCK) return no(asked, 'not-a-block', `send it as ${RAW_BLOCK}`)
    return of === null ? openFile(order) : takePart(order, of)
  }

  /** A blob of one block. */
  async function takeBlob(order: Order): Promise<string> {
    const { asked, cid, ticket, store } = order
    const limitBytes = Math.min(ticket.sizeBytes, BLOCK_BYTES_MAX)
    if ((lengthOf(asked) ?? 0) > limitBytes) return no(asked, 'too-large', `at most ${limitBytes} bytes`)
    return admitted(order, async (transfer, keep) => {
      if (await store.has(cid)) return keep(() => here(order, 200))
      const block = await receiveBlock(asked, { cid, limitBytes, expiresAt: ticket.expiresAt }, transfer.pace)
      await store.putParts(cid, [block], untilOf(ticket))
      return keep(() => here(order, 201))
    })
  }

  /** Opens a file of several blocks, or goes on with it, or finds it whole. */
  async function openFile(order: Order): Promise<string> {
    const { asked, cid, ticket, store } = order
    const limitBytes = BLOCK_BYTES_MAX
    if ((lengthOf(asked) ?? 0) > limitBytes) return no(asked, 'too-large', `at most ${limitBytes} bytes`)
    return admitted(order, async (transfer, keep) => {
      const root = await receiveBlock(asked, { cid, limitBytes, expiresAt: ticket.expiresAt }, transfer.pace)
      const size = fileSizeOf(root)
      if (!size.ok) return no(asked, 'not-uploadable', 'this is no node of a file')
      if (size.value > ticket.sizeBytes) return no(asked, 'too-large', `at most ${ticket.sizeBytes} bytes`)
      const parts = filePartsOf(root, extentOf(size.value))
      if (!parts.ok) return no(asked, 'not-uploadable', 'not as unixfs-v1-2025 cuts a file')
      const name = nameOf(ticket, cid)
      if (await store.has(cid)) {
        const isNew = opened.find(name) !== undefined
        opened.close(name)
        return keep(() => here(order, isNew ? 201 : 200))
      }
      await store.putParts(cid, [root], untilOf(ticket))
      opened.add(name, parts.value)
      const missing = await missingOf(store, parts.value)
      return keep(() => answerMissing(asked, missing))
    })
  }

  /** A part that an open upload names: anything else is refused before it is read. */
  async function takePart(order: Order, of: string): Promise<string> {
    const { asked, cid, ticket, store } = order
    const root = parseCid(of)
    if (!root.ok) return no(asked, 'bad-cid', root.detail)
    const name = nameOf(ticket, root.value)
    const upload = opened.find(name)
    const part = upload?.parts.get(cid)
    if (!upload || !part) return no(asked, 'unknown-upload', 'put the root again: nothing that is open here names this')
    const limitBytes = part.height === 0 ? part.sizeBytes : BLOCK_BYTES_MAX
    const length = lengthOf(asked)
    if (length !== undefined && (part.height === 0 ? length !== limitBytes : length > limitBytes))
      return no(asked, 'wrong-content', `its parent says ${part.sizeBytes} bytes`)
    if (upload.running >= PARTS_AT_ONCE_MAX) return no(asked, 'busy-ticket')
    using transfer = transfers.begin(asked.request)
    if (!transfer) return no(asked, 'busy', 'all places for uploads are taken')
    upload.running++
    return await watched(asked, async (keep) => {
      if (await store.has(cid)) return keep(() => answerPart(asked, 200))
      const block = await receiveBlock(asked, { cid, limitBytes, expiresAt: ticket.expiresAt }, transfer.pace)
      const parts = filePartsOf(block, part)
      if (!parts.ok) return no(asked, 'wrong-content', 'not what its parent says')
      await store.putParts(root.value, [block], untilOf(ticket))
      if (parts.value.length === 0) return keep(() => answerPart(asked, 201))
      opened.add(name, parts.value)
      const missing = await missingOf(store, parts.value)
      return keep(() => answerMissing(asked, missing))
    }).finally(() => upload.running--)
  }

  /** Holds a place, and one of those of the seat, while it is taken. */
  async function admitted(
    { asked, cid, ticket }: Order,
    take: (transfer: Transfer, keep: Keep) => Promise<string>,
  ): Promise<string> {
    using transfer = transfers.begin(asked.request)
    if (!transfer) return no(asked, 'busy', 'all places for uploads are taken')
    const place = tickets.admit(ticket, cid)
    if (!place.ok) return no(asked, place.refusal)
    let kept = false
    return await watched(asked, (keep) =>
      take(transfer, (answer) => {
        kept = true
        return keep(answer)
      }),
    ).finally(() => place.value.end(kept))
  }
}

/** Called once something is kept: from then on nothing that goes wrong is told to the client as a refusal. */
type Keep = (answer: () => Promise<string>) => Promise<string>

async function watched(asked: Asked, take: (keep: Keep) => Promise<string>): Promise<string> {
  const { request } = asked
  let kept = false
  try {
    return await take((answer) => {
      kept = true
      return answer()
    })
  } catch (cause) {
    if (kept || (request.destroyed && !request.complete)) return brokenOff(asked)
    const refusal = refusalOf(cause)
    if (!refusal) throw cause
    return no(asked, refusal, (cause as Error).message)
  }
}

function no(asked: Asked, code: ProblemCode, detail?: string): Promise<string> {
  return answerProblem(asked, problemOf(code, detail))
}

async function here({ asked, cid, ticket }: Order, status: 200 | 201): Promise<string> {
  if (ticket.publish === 'full') {
    asked.response.setHeader('Location', `/ipfs/${cid}`)
    asked.response.setHeader('ETag', `"${cid}"`)
  }
  await answerWhole(asked, status, undefined, '')
  return status === 201 ? 'kept' : 'already-here'
}

async function answerPart(asked: Asked, status: 200 | 201): Promise<string> {
  await answerWhole(asked, status, undefined, '')
  return 'part'
}

async function answerMissing(asked: Asked, missing: readonly Cid[]): Promise<string> {
  await answerWhole(asked, 202, 'application/json', JSON.stringify({ missing }))
  return 'part'
}

/** The client went away in the middle: there is nobody to answer. */
function brokenOff({ response }: Asked): string {
  response.destroy()
  return 'broken-off'
}

/** Those of which not everything is here: also a node that is, with something under it that is not. */
async function missingOf(store: PartsStore, parts: readonly FilePart[]): Promise<readonly Cid[]> {
  const missing: Cid[] = []
  for (const cid of new Set(parts.map((part) => part.cid))) if (!(await store.has(cid))) missing.push(cid)
  return missing
}

/** One that the client says; undefined where the body ends when it ends. */
function lengthOf({ request }: Asked): number | undefined {
  const length = request.headers['content-length']
  return length === undefined ? undefined : Number(length)
}

/** An upload is its seat's own. */
function nameOf(ticket: Ticket, root: Cid): string {
  return `${ticket.publish} ${seatNameOf(ticket)} ${root}`
}

function untilOf({ expiresAt }: Ticket): Millis {
  return expiresAt + KEPT_AFTER_MILLIS
}

const RAW_BLOCK = 'application/vnd.ipld.raw'
/** Twice what a client has in flight: as many may hang on a connection that is dead. */
const PARTS_AT_ONCE_MAX = 8
/** The same blob may be wanted in a later round: of a node that was away, or in a run that is told again. */
const KEPT_AFTER_MILLIS: Millis = 86_400_000
