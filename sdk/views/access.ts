/** A key to the API, without what it opens by. */
export type ApiKeyView = {
  id: string
  name: string
  scopes: string[]
  federation: string | null
  created_at: string
  expires_at: string | null
  revoked_at: string | null
  last_used_at: string | null
}

/** @property key told this once */
export type MadeApiKeyView = ApiKeyView & { key: string }

/** The key that asks. */
export type WhoamiView = {
  id: string
  name: string
  scopes: string[]
  federation: string | null
  expires_at: string | null
}

/** What was changed with a key. */
export type AuditEventView = {
  id: string
  time: string
  /** The key, as it was called then. */
  actor: { id: string; name: string }
  /** Method and route. */
  action: string
  target: string | null
  status: number
  request_id: string
  /** The only one of the key, where it had one. */
  federation: string | null
  /** Its place in the log, from 0, and the SHA-256 of its entry there, by which the next one names it as `before`. */
  seq: number
  hash: string
  before: string | null
}
