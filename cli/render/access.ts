import type { ApiKeyView, AuditEventView, WhoamiView } from '#sdk/views/access.ts'
import { plain } from './width.ts'

export function whoLines({ id, name, scopes, federation, expires_at: expires }: WhoamiView): readonly string[] {
  return [
    `key         ${id}  ${plain(name)}`,
    `scopes      ${scopes.join(' ')}`,
    `federation  ${federation ?? 'all'}`,
    `expires     ${expires ?? 'never'}`,
  ]
}

/** The id first and whole, then whether it is good. */
export function keyLine({ id, name, scopes, federation, ...when }: ApiKeyView, now: number): string {
  const used = when.last_used_at === null ? 'never used' : `used ${when.last_used_at.slice(0, 10)}`
  const row = [id, stateOf(when, now).padEnd(18), used.padEnd(15), name, scopes.join(' '), federation ?? '']
  return plain(row.join('  ')).trimEnd()
}

function stateOf(
  { expires_at: expires, revoked_at: revoked }: Pick<ApiKeyView, 'expires_at' | 'revoked_at'>,
  now: number,
) {
  if (revoked !== null) return `revoked ${revoked.slice(0, 10)}`
  if (expires === null) return 'good'
  return `${Date.parse(expires) <= now ? 'expired' : 'until'} ${expires.slice(0, 10)}`
}

export function auditLine({ time, actor, action, target, status }: AuditEventView): string {
  return plain([time, String(status), actor.name, action, target ?? ''].join('  ')).trimEnd()
}
