/** @property fingerprint of its key as six words, to be compared by telephone */
export type CoordinatorView = { id: string; fingerprint: string }

/** Sites that train together. */
export type FederationView = {
  id: string
  name: string
  description: string | null
  members: number
  created_at: string
  updated_at: string
}

/** A node in one. */
export type MemberView = {
  node: string
  operator: string | null
  linked: boolean
  joined_at: string
  via: 'added' | 'invite'
}

/** What a node comes in by. */
export type InviteView = {
  id: string
  operator: string | null
  uses_left: number
  created_at: string
  expires_at: string | null
  revoked_at: string | null
}

/** @property code told this once */
export type InviteWithCodeView = InviteView & { code: string }
