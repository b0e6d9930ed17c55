import { z } from 'zod'
import { whoamiView } from '#coordinator/api/keys.ts'
import { text } from '#coordinator/api/schemas.ts'

/** What is printed of a person's own settings, and of the commands themselves. */
export const loggedInShape = z.object({
  profile: z.string(),
  coordinator: z.string(),
  config: text('the file that keeps the key'),
  key: whoamiView,
})
export const loggedOutShape = z.object({ profile: z.string(), config: z.string(), forgotten: z.boolean() })

export const settingsShape = z.union([
  z.object({ profile: z.string(), settings: z.record(z.string(), z.string()), has_key: z.boolean() }),
  z.object({ profile: z.string(), name: z.string(), value: z.string() }),
])
export const settingShape = z.object({ profile: z.string(), name: z.string(), value: z.string().nullable() })
export const settingsPathShape = z.object({
  path: z.string(),
  exists: z.boolean(),
  settings: z
    .array(z.object({ name: z.string(), value: z.string().nullable(), from: text('which of the sources won') }))
    .optional()
    .meta({ description: 'with --explain' }),
})

const checkShape = z.object({
  check: z.string(),
  status: z.enum(['ok', 'warning', 'failed', 'skipped']),
  detail: z.string(),
  fix: z.string().nullable(),
})
export const diagnosisShape = z.object({ ok: z.boolean(), checks: z.array(checkShape) })

export const createdShape = z.object({ folder: z.string(), template: z.string(), files: z.array(z.string()) })
export const versionShape = z.object({
  version: z.string(),
  node: z.string(),
  platform: z.string(),
  arch: z.string(),
})

const optionShape = z.object({
  name: z.string(),
  short: z.string().optional(),
  value: z.string().optional(),
  bare: z.boolean().optional().meta({ description: 'its value may be left out' }),
  summary: z.string(),
  env: z.string().optional(),
  setting: z.string().optional(),
  default: z.string().optional(),
})
export const helpShape = z.object({
  commands: z.array(
    z.object({
      name: z.string(),
      summary: z.string(),
      positional: z.string().nullable(),
      options: z.array(optionShape),
      schema: text('a file of this package: what it prints with --json').nullable(),
    }),
  ),
})

/** With --dry-run, instead of what would come of it. */
export const unsentShape = z.object({
  dry_run: z.literal(true),
  method: z.string(),
  path: z.string(),
  body: z.unknown().meta({ description: 'null where there is none, or where it is no JSON' }),
})
