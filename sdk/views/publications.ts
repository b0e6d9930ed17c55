import type { PageView } from './page.ts'

/** One thing that pinning services were asked to keep. */
export type PublicationView = {
  run: string
  what: 'record' | 'model' | 'bundle'
  cid: string
  /** As many providers have it pinned as the quorum is. */
  published: boolean
  at: {
    provider: string
    request: string
    status: 'queued' | 'pinning' | 'pinned' | 'failed'
    requested_at: string
  }[]
}

/** @property quorum providers that must have a thing before it counts as published; 0 without any */
export type PublicationsPageView = PageView<PublicationView> & { quorum: number }

/** A pinning service, as it answered last. */
export type ProviderView = {
  name: string
  state: 'ready' | 'unauthorised' | 'refused' | 'unreachable'
  detail: string | null
}
