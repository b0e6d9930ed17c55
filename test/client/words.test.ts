import { describe, expect, test } from '@jest/globals'
import { BOX_BYTES, KEM_CIPHERTEXT_BYTES, type Parcel, say } from '#aggregation/secagg/messages.ts'
import { joinParts } from '#aggregation/secagg/parcel.ts'
import { dealWords, objectWord } from '#client/words.ts'
import { utf8 } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { fitInFrame, open } from '#protocol/envelope.ts'
import { COMPLAINTS_MAX, FRAME_BYTES_MAX, PARCEL_PARTS_MAX, SESSION_MEMBERS_MAX } from '#protocol/limits.ts'
import { say as sayFrame } from '#protocol/messages.ts'
import { RUN } from '#sim/setting.ts'
import { must, seed } from '#test/aggregation/given.ts'
import { stranger } from './bench.ts'

const cid = (text: string) => cidOf(DAG_CBOR, utf8(text))
const sid = seed(1)
const others = Array.from({ length: SESSION_MEMBERS_MAX - 1 }, (_, index) => index + 2)
const frameOf = (word: ReturnType<typeof dealWords>[number]) =>
  sayFrame(stranger, { ...word.utterance, to: stranger.id, seq: 1, run: RUN, round: 1 } as never, word.blocks)

describe('the largest session', () => {
  test('has keys and boxes that frames hold whole, part by part', () => {
    const [box, ct] = [new Uint8Array(BOX_BYTES), new Uint8Array(KEM_CIPHERTEXT_BYTES)]
    const parcel: Parcel = {
      boxes: others.map((v) => ({ sid, u: 1, v, box, cKemCt: ct })),
      maskCts: others.map((v) => ({ sid, u: 1, v, ct })),
    }
    const to = others.map((v) => ({ v, hBox: sid, hR: sid, hS: sid, hM: sid }))
    const words = dealWords(say(stranger, 'ShareKeys', { sid, u: 1, to }), parcel)
    expect(words.length).toBeLessThanOrEqual(PARCEL_PARTS_MAX)
    for (const word of words) {
      expect(fitInFrame(word.blocks)).toEqual(word.blocks)
      expect(must(open(frameOf(word), FRAME_BYTES_MAX)).attached).toHaveLength(word.blocks.length)
    }
    const parts = words.map(({ blocks }) => blocks.at(-1)?.bytes as Uint8Array)
    expect(must(joinParts(parts))).toEqual(parcel)
  })

  test('has room in one frame for as many complaints as are heard', () => {
    const about = cid('keys')
    const complaints = others
      .slice(0, COMPLAINTS_MAX)
      .map((v) => say(stranger, 'Complaint', { sid, u: 1, v, cid: about, code: 'share-hash' }).signed)
    const word = objectWord(cid('shared'), complaints)
    expect(must(open(frameOf(word), FRAME_BYTES_MAX)).attached).toHaveLength(2 * COMPLAINTS_MAX)
  })
})
