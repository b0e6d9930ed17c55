import { CID } from 'multiformats/cid'
import { cidOf, codecOf, DAG_CBOR, DAG_PB, RAW } from '#protocol/cid.ts'
import type { Bytes, Cid, Millis } from '#protocol/ids.ts'
import type { Clock } from '#protocol/ports.ts'
import { readCid } from './answering.ts'
import { type Message, NOTHING, type Want } from './message.ts'

/**
 * Blocks from peers that we were told of. Each is asked of one peer after another until somebody sends it; what was not
 * asked for is dropped, and what was is hashed first.
 */
export function openAsking({ clock, answerMillis }: AskingOptions): Asking {
  const peers = new Map<string, Peer>()
  const open = new Set<Question>()
  let turn = 0

  /** @returns the block; `missing` where the peer has not got it; `silent` where it did not say in time, or left */
  async function ask(id: string, cid: Cid, signal?: AbortSignal): Promise<Bytes | 'missing' | 'silent'> {
    const answered = Promise.withResolvers<Bytes | 'missing' | 'silent'>()
    const question = { peer: id, cid, answer: answered.resolve }
    const done = new AbortController()
    const abort = () => answered.reject(signal?.reason)
    signal?.addEventListener('abort', abort, { once: true })
    open.add(question)
    try {
      tell(id, { cid: CID.parse(cid).bytes, kind: 'block', orMissing: true }, 'now')
      clock.wakeAt(clock.now() + answerMillis, done.signal).then(
        () => answered.resolve('silent'),
        () => undefined,
      )
      const answer = await answered.promise
      if (answer === 'silent') withdraw(question, 'now')
      // Or Helia, asked for it again within seconds, takes it that we have it.
      else if (answer !== 'missing') withdraw(question, 'then')
      return answer
    } catch (cause) {
      withdraw(question, 'now')
      throw cause
    } finally {
      open.delete(question)
      done.abort()
      signal?.removeEventListener('abort', abort)
    }
  }

  /** Unless somebody else here still waits for it from the same peer. */
  function withdraw(question: Question, when: 'now' | 'then'): void {
    open.delete(question)
    if ([...open].some(({ peer, cid }) => peer === question.peer && cid === question.cid)) return
    tell(question.peer, { cid: CID.parse(question.cid).bytes, kind: 'cancel', orMissing: false }, when)
  }

  /**
   * What is said to a peer within one turn of the event loop goes together, with what had time until then: what is wanted
   * no more first, and by itself, since Kubo takes a CID of which a message has both for one that is not wanted.
   */
  function tell(id: string, want: Want, when: 'now' | 'then'): void {
    const peer = peers.get(id)
    if (!peer) return
    peer.unsaid.push(want)
    if (when === 'then' || peer.telling) return
    peer.telling = true
    queueMicrotask(() => {
      peer.telling = false
      const said = peer.unsaid.splice(0)
      // Whoever cannot be told is silent; when its connection is gone, it leaves.
      for (const wants of [said.filter(isCancel), said.filter((want) => !isCancel(want))])
        if (wants.length > 0) peer.send({ ...NOTHING, wants }).catch(() => undefined)
    })
  }

  return {
    joined(id, send) {
      peers.set(id, { send, unsaid: [], telling: false })
    },
    left(id) {
      peers.delete(id)
      for (const question of open) if (question.peer === id) question.answer('silent')
    },
    receive(id, { blocks, presences }) {
      for (const { prefix, bytes } of blocks) {
        const codec = codecOfPrefix(prefix)
        if (codec === undefined || ![...open].some(({ cid }) => codecOf(cid) === codec)) continue
        const cid = cidOf(codec, bytes)
        for (const question of open) if (question.cid === cid) question.answer(bytes)
      }
      for (const { cid: bytes, here } of presences) {
        if (here) continue
        const cid = readCid(bytes)
        for (const question of open) if (question.peer === id && question.cid === cid) question.answer('missing')
      }
    },
    async want(cid, signal) {
      signal?.throwIfAborted()
      const ids = [...peers.keys()]
      const first = turn++
      let silent = 0
      for (const [index] of ids.entries()) {
        const id = ids[(first + index) % ids.length] as string
        const answer = await ask(id, cid, signal)
        if (typeof answer === 'object') return answer
        if (answer === 'silent') silent++
      }
      if (silent > 0) throw new PeersSilent(`${silent} of ${ids.length} peers did not say whether they have ${cid}`)
      return undefined
    },
  }
}

export type Asking = {
  joined(peer: string, send: (message: Message) => Promise<void>): void
  left(peer: string): void
  receive(peer: string, message: Pick<Message, 'blocks' | 'presences'>): void
  /** Undefined where every peer that is there says that it has not got it; throws {@link PeersSilent} where one says nothing. */
  want(cid: Cid, signal?: AbortSignal): Promise<Bytes | undefined>
}

/** Nobody has sent the block, and somebody may have it. */
export class PeersSilent extends Error {
  override name = 'PeersSilent'
}

type AskingOptions = {
  readonly clock: Clock
  /** How long a peer may take for one block. */
  readonly answerMillis: Millis
}
type Peer = {
  readonly send: (message: Message) => Promise<void>
  readonly unsaid: Want[]
  /** It will be told what is unsaid before this turn of the event loop is over. */
  telling: boolean
}
type Question = {
  readonly peer: string
  readonly cid: Cid
  readonly answer: (answer: Bytes | 'missing' | 'silent') => void
}

function isCancel({ kind }: Want): boolean {
  return kind === 'cancel'
}

/** Of the CIDs that we read; undefined for others. */
function codecOfPrefix([version, codec, hash, length]: Bytes):
  | typeof RAW
  | typeof DAG_PB
  | typeof DAG_CBOR
  | undefined {
  if (version !== 1 || hash !== 0x12 || length !== 32) return undefined
  return codec === RAW || codec === DAG_PB || codec === DAG_CBOR ? codec : undefined
}
