import { utf8 } from '#protocol/bytes.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import type { Clock } from '#protocol/ports.ts'
import { within } from './pause.ts'
import type { Provider } from './publisher.ts'

export type ProviderHealth = {
  readonly name: string
  readonly state: 'ready' | 'unauthorised' | 'refused' | 'unreachable'
  readonly detail: string | null
}

const ANSWER_MILLIS = 10_000
/** Whether it has this changes nothing: that it answers is the answer. */
const PROBE = cidOf(RAW, utf8('consilium'))

/** Whether a provider answers us now, and takes our token. */
export async function healthOf({ name, service }: Provider, clock: Clock): Promise<ProviderHealth> {
  const asked = service.find([PROBE]).then(
    (): ProviderHealth => ({ name, state: 'ready', detail: null }),
    (cause: Error & { readonly status?: number }): ProviderHealth => {
      const { status, message: detail } = cause
      if (status === 401 || status === 403) return { name, state: 'unauthorised', detail }
      return { name, state: status === undefined ? 'unreachable' : 'refused', detail }
    },
  )
  const answered = await within(clock, ANSWER_MILLIS, asked)
  return answered ?? { name, state: 'unreachable', detail: `no answer within ${ANSWER_MILLIS / 1000} s` }
}
