import { codecOf, DAG_CBOR, DAG_PB, parseCid } from '#protocol/cid.ts'
import { linksOf } from '#protocol/codec.ts'
import { partsOf } from '#protocol/file-node.ts'
import type { Bytes, Cid, Millis } from '#protocol/ids.ts'
import { BLOCK_BYTES_MAX } from '#protocol/limits.ts'
import { canonicalCid } from '#protocol/pinning.ts'
import { BlobCorrupt, BlobMissing, type BlobStore, type Clock } from '#protocol/ports.ts'
import type { Duty } from './keeper.ts'
import { isOpen, type Pins, type StoredPin } from './pins.ts'

/** Manifests and files under one pin: a run of a thousand masked rounds. Each is remembered by name while it is looked through. */
const LINKS_MAX = 250_000
/** A pin whose blocks are not here may wait for so long for somebody who brings them. */
const PATIENCE_MILLIS: Millis = 600_000
/** Where there is one who fetches them, for so long. */
const FETCH_PATIENCE_MILLIS: Millis = 86_400_000
/** Pins that are looked after in one turn: those that wait for blocks cost little, and the next turn goes on with the others. */
const TURN_PINS = 100
const TURN_MILLIS: Millis = 5000

export type PinnerDoors = {
  readonly pins: Pins
  readonly blobs: Pick<BlobStore, 'getBlock' | 'has'>
  readonly clock: Clock
  /** Brings the blocks under a CID here, from these peers or whoever has them, or throws. */
  readonly fetchDag?: (cid: Cid, origins: readonly string[], signal: AbortSignal) => Promise<void>
}

/** Makes pins come true: one is pinned when everything under its CID is here, and failed when it does not come. */
export function pinning(doors: PinnerDoors): Duty {
  let after = ''
  return {
    name: 'look after pins',
    everyMillis: TURN_MILLIS,
    async perform(signal) {
      const open = (await doors.pins.select(isOpen)).toReversed()
      // In rotation, so that many which wait for blocks hold up nobody who has them.
      const first = open.findIndex(({ id }) => id > after)
      const turn = first < 0 ? open : [...open.slice(first), ...open.slice(0, first)]
      for (const pin of turn.slice(0, TURN_PINS)) {
        if (signal.aborted) return
        await look(doors, pin, signal)
        after = pin.id
      }
    },
  }
}

async function look(doors: PinnerDoors, pin: StoredPin, signal: AbortSignal): Promise<void> {
  const { pins, blobs, clock, fetchDag } = doors
  const cid = parseCid(canonicalCid(pin.cid) ?? '')
  if (!cid.ok) return pins.mark(pin.id, 'failed', 'only SHA-256, and raw, dag-pb or dag-cbor, is kept here')
  const obstacle = await obstacleUnder(cid.value, blobs)
  if (obstacle === undefined) return pins.mark(pin.id, 'pinned')
  if (obstacle !== 'missing') return pins.mark(pin.id, 'failed', obstacle)
  const patience = fetchDag ? FETCH_PATIENCE_MILLIS : PATIENCE_MILLIS
  if (clock.now() >= pin.created + patience)
    return pins.mark(pin.id, 'failed', `its blocks did not come within ${patience / 60_000} minutes`)
  if (!fetchDag) return
  await pins.mark(pin.id, 'pinning')
  try {
    await fetchDag(cid.value, pin.origins, signal)
  } catch {
    // Whoever had them may have them later: until its time is over it is tried again.
  }
}

/** Which of these a pin holds: they are under one of the pinned roots, and stay when their time is over. */
export async function pinnedAmong(
  cids: Iterable<Cid>,
  { pins, blobs }: Pick<PinnerDoors, 'pins' | 'blobs'>,
): Promise<ReadonlySet<Cid>> {
  const free = new Set(cids)
  const held = new Set<Cid>()
  for (const { cid } of await pins.select(({ status }) => status === 'pinned')) {
    const root = parseCid(canonicalCid(cid) ?? '')
    if (!root.ok) continue
    for await (const found of under(root.value, blobs)) {
      if (free.size === 0) return held
      if (free.delete(found)) held.add(found)
    }
  }
  return held
}

/** Why not everything under a root is here, in words for whoever pinned it. */
async function obstacleUnder(root: Cid, blobs: PinnerDoors['blobs']): Promise<'missing' | string | undefined> {
  let links = 0
  try {
    for await (const cid of under(root, blobs)) {
      if (++links > LINKS_MAX) return `more than ${LINKS_MAX} manifests and files are under it`
      if (!parseCid(cid).ok) return `it links to ${cid}, and nothing of that kind is kept here`
      if (codecOf(cid) === DAG_CBOR) continue
      if (!(await blobs.has(cid))) return 'missing'
      if (codecOf(cid) === DAG_PB && !partsOf({ cid, bytes: await blobs.getBlock(cid, BLOCK_BYTES_MAX) }).ok)
        return `${cid} is no file: folders are not kept here`
    }
    return undefined
  } catch (cause) {
    if (cause instanceof BlobMissing) return 'missing'
    if (cause instanceof BlobCorrupt) return 'what is here under it is damaged'
    throw cause
  }
}

/** Manifests and files: what a manifest links to, and not the parts that a file is cut into. Each once, parents first. */
async function* under(root: Cid, blobs: Pick<BlobStore, 'getBlock'>): AsyncIterable<Cid> {
  const seen = new Set([root])
  const ahead = [root]
  for (let cid = ahead.pop(); cid !== undefined; cid = ahead.pop()) {
    yield cid
    if (codecOf(cid) !== DAG_CBOR) continue
    for (const link of linksIn(cid, await blobs.getBlock(cid, BLOCK_BYTES_MAX))) {
      if (seen.has(link)) continue
      seen.add(link)
      ahead.push(link)
    }
  }
}

function linksIn(cid: Cid, block: Bytes): readonly Cid[] {
  try {
    return linksOf(block)
  } catch (cause) {
    throw new BlobCorrupt(`${cid} is not DAG-CBOR`, { cause })
  }
}
