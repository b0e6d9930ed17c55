import { ringKernel } from '#aggregation/kernels/ring.ts'
import { NO_SCORES } from '#aggregation/metrics/scoring.ts'
import { SUITE_HYBRID, SUITE_X25519, type Suite } from '#aggregation/secagg/messages.ts'
import { removeMasks } from '#aggregation/secagg/removal.ts'
import { verifySession } from '#aggregation/secagg/verification.ts'
import { encodeLanes } from '#aggregation/vector.ts'
import { toHex } from '#protocol/bytes.ts'
import { frameOf } from '#protocol/envelope.ts'
import { must } from '#test/aggregation/given.ts'
import { buildVectors } from '#test/vectors/build.ts'
import { cohortOf } from './cohort.ts'
import { drawn, hexOf, masksOf } from './masks.ts'
import { play } from './play.ts'

/** What Node and a page of a browser both compute, to be compared. Bytes are in it as hexadecimal text. */

/** Every published vector that the code computes, by its file's name. */
export async function vectors() {
  return (await buildVectors()).vectors
}

/** Whether long vectors are added in WebAssembly. */
export function hasKernel(): boolean {
  return ringKernel() !== undefined
}

/**
 * All that five members and their coordinator say in a session whose third member drops out after it shared its keys, and
 * the sum as a verifier finds it. Boxes are in it by the hashes that their dealers signed. In suite 2 the vector is so long
 * that masks go on and off in WebAssembly, in suite 1 so short that they do in JavaScript.
 */
export async function sessions(): Promise<readonly (readonly [suite: Suite, said: readonly string[]])[]> {
  return [
    [SUITE_X25519, await session(SUITE_X25519, 37)],
    [SUITE_HYBRID, await session(SUITE_HYBRID, 70_000)],
  ]
}

/** What is left of a sum when many masks are off it, and whether the page had its turn between two of them. */
export async function removal(): Promise<{ readonly left: string; readonly turned: boolean }> {
  const sum = drawn(16_384)
  let turned = false
  setTimeout(() => {
    turned = true
  })
  await removeMasks(sum, masksOf(100))
  return { left: hexOf(sum), turned }
}

async function session(suite: Suite, parameters: number): Promise<readonly string[]> {
  const cohort = cohortOf('page', 5, { suite, parameters })
  const { record, answers, vectors } = must(await play(cohort, { mask: [3] }))
  const { sum } = must(
    await verifySession(
      record,
      cohort.coordinator.id,
      { parameters: cohort.parameters, moving: 0, scores: NO_SCORES },
      vectors.read,
    ),
  )
  const { roster, adverts, shared, keys, survivors, inputs, certificate, result, maskCts } = record
  const said = [...adverts, roster, ...keys, shared, ...inputs, survivors, certificate, ...answers, result]
  return [
    ...said.map(({ signed }) => toHex(frameOf(signed))),
    ...maskCts.map(({ ct }) => toHex(ct)),
    ...inputs.map(({ body }) => toHex(vectors.of(body))),
    toHex(encodeLanes(sum)),
  ]
}
