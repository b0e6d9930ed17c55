import type { PublicationView } from '#sdk/views/publications.ts'

/** What is published, whether enough providers have it, and who has it or says what. */
export function publicationLine({ what, published, at }: PublicationView, quorum: number): string {
  const pinned = at.filter(({ status }) => status === 'pinned').length
  const where = at.map(({ provider, status }) => `${provider} ${status}`).sort()
  const state = published ? 'published' : `${pinned} of ${quorum}`
  return [what.padEnd(6), state.padEnd(9), where.join(', ')].join('  ')
}
