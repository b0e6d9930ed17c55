import { toHex } from '#protocol/bytes.ts'
import { cidOf, DAG_CBOR } from '#protocol/cid.ts'
import { encode } from '#protocol/codec.ts'
import { datasetSchema, type PublicDataset } from '#protocol/dataset.ts'
import { signerOf } from '#protocol/envelope.ts'
import { fingerprintOf } from '#protocol/fingerprint.ts'
import { CODE_CHANCE_BYTES, codeHash, codeOf, stateAcceptance } from '#protocol/invite.ts'
import { coordinator, secretOf } from './run.ts'

/** A code and what a node signs to take it, the coordinator's key as words, and what a node publishes. */
export function inviteVector() {
  const chance = Uint8Array.from({ length: CODE_CHANCE_BYTES }, (_, at) => 7 * at + 1)
  const code = codeOf(chance)
  const at = 1_700_000_000_000
  const dataset: PublicDataset = {
    ...{ kind: 'table', name: 'echo-2024', rowsAtLeast: 32_768 },
    columns: [
      { name: 'age', kind: 'number' },
      { name: 'hf_12m', kind: 'category' },
    ],
  }
  const block = encode(datasetSchema, dataset)
  return {
    ...{ chance: toHex(chance), code, codeHash: toHex(codeHash(code)) },
    acceptance: {
      ...{ secretKey: toHex(secretOf(2)), to: coordinator.id, at },
      statement: toHex(stateAcceptance(signerOf(secretOf(2)), { to: coordinator.id, code, at })),
    },
    fingerprint: { key: coordinator.id, words: fingerprintOf(coordinator.id) },
    dataset: { value: dataset, block: toHex(block), cid: cidOf(DAG_CBOR, block) },
  }
}
