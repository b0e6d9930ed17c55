import { z } from 'zod'
import { count, nameField, operatorField } from '#protocol/codec.ts'
import { type NodeId, parseNodeId } from '#protocol/ids.ts'
import { descriptionField, INVITE_USES_MAX } from '../federation-events.ts'

/** What the API takes and shows of federations, their members and invites, and of what nodes publish. */
const time = z.string().meta({ description: 'RFC 3339' })
const operator = operatorField.meta({ description: 'who runs it: a-z, 0-9 and -; the node itself where there is none' })
const FEDERATION = 'fed_01KQ7ZT2B4C6D8E0F1G2H3J4K5'
const NODE = 'z6MkomQhkrGYd5PC96u41ENVuQFMYGTAcNo3VpqBV2j8Jx6x'
const TIME = '2026-11-22T09:31:04.120Z'
const INVITE_EXAMPLE = {
  ...{ id: 'inv_01KQ7ZV6S3W8M4N5P6Q7R8S9T0', operator: 'st-elsewhere', uses_left: 1 },
  ...{ created_at: TIME, expires_at: '2026-12-06T09:31:04.120Z', revoked_at: null },
}
const nodeField = z.string().refine((text) => parseNodeId(text).ok, 'must be a node id, z6Mk…') as unknown as z.ZodType<
  NodeId,
  string
>

export const createFederationSchema = z
  .strictObject({ name: nameField, description: descriptionField.nullable().default(null) })
  .meta({ id: 'CreateFederation', examples: [{ name: 'cardio', description: 'heart failure, seven hospitals' }] })

export const amendFederationSchema = z
  .strictObject({ name: nameField.optional(), description: descriptionField.nullable().optional() })
  .meta({ id: 'AmendFederation', examples: [{ description: 'heart failure, eight hospitals' }] })

export const federationView = z
  .object({
    id: z.string().meta({ description: 'fed_ and a ULID' }),
    name: z.string(),
    description: z.string().nullable(),
    members: z.int(),
    created_at: time,
    updated_at: time,
  })
  .meta({
    id: 'Federation',
    examples: [
      {
        ...{ id: FEDERATION, name: 'cardio', description: 'heart failure, seven hospitals' },
        ...{ members: 7, created_at: TIME, updated_at: TIME },
      },
    ],
  })

export const addMemberSchema = z
  .strictObject({ node: nodeField, operator: operator.nullable().default(null) })
  .meta({ id: 'AddMember', examples: [{ node: NODE, operator: 'st-elsewhere' }] })

export const memberView = z
  .object({
    node: z.string(),
    operator: z.string().nullable(),
    linked: z.boolean(),
    joined_at: time,
    via: z.enum(['added', 'invite']),
  })
  .meta({
    id: 'Member',
    examples: [{ node: NODE, operator: 'st-elsewhere', linked: true, joined_at: TIME, via: 'invite' }],
  })

export const createInviteSchema = z
  .strictObject({
    operator: operator.nullable().default(null).meta({ description: 'of every node that takes it' }),
    uses: count(INVITE_USES_MAX, 1).default(1).meta({ description: 'nodes that may take it' }),
    expiresAt: z.iso
      .datetime({ offset: true })
      .nullable()
      .optional()
      .meta({ description: 'in two weeks by default; null: never' }),
  })
  .meta({ id: 'CreateInvite', examples: [{ operator: 'st-elsewhere', uses: 1 }] })

export const inviteView = z
  .object({
    id: z.string().meta({ description: 'inv_ and a ULID' }),
    operator: z.string().nullable(),
    uses_left: z.int(),
    created_at: time,
    expires_at: time.nullable(),
    revoked_at: time.nullable(),
  })
  .meta({ id: 'Invite', examples: [INVITE_EXAMPLE] })

export const inviteWithCodeView = inviteView
  .extend({ code: z.string().meta({ description: 'shown this once: only its hash is kept' }) })
  .meta({ id: 'InviteWithCode', examples: [{ ...INVITE_EXAMPLE, code: 'NC6G-QCZ9-39T6-HA75' }] })

export const acceptInviteSchema = z
  .strictObject({
    code: z.string().max(64),
    statement: z
      .base64()
      .max(1024)
      .meta({ description: "an envelope by the node's key over the code's hash, this coordinator and the time" }),
  })
  .meta({ id: 'AcceptInvite', examples: [{ code: 'NC6G-QCZ9-39T6-HA75', statement: 'pWFhgGFi' }] })

export const acceptedView = z
  .object({ federation: z.string(), name: z.string(), operator: z.string().nullable() })
  .meta({ id: 'AcceptedInvite', examples: [{ federation: FEDERATION, name: 'cardio', operator: 'st-elsewhere' }] })

export const coordinatorView = z
  .object({
    id: z.string().meta({ description: 'its key, z6Mk…, which nodes pin' }),
    fingerprint: z.string().meta({ description: 'the same as six words, to be compared by telephone' }),
  })
  .meta({ id: 'Coordinator', examples: [{ id: NODE, fingerprint: 'topat mamik tahuj zomus bubin pobog' }] })

export const datasetView = z
  .object({
    node: z.string(),
    operator: z.string().nullable(),
    name: z.string(),
    kind: z.enum(['table', 'image', 'joint']),
    columns: z.array(z.object({ name: z.string(), kind: z.enum(['number', 'category', 'text']) })).nullable(),
    shape: z.array(z.int()).nullable().meta({ description: 'of one image' }),
    classes: z.int().nullable(),
    rows_at_least: z.int().meta({ description: 'the power of two below its rows' }),
    published_at: time,
  })
  .meta({
    id: 'Dataset',
    examples: [
      {
        ...{ node: NODE, operator: 'st-elsewhere', name: 'echo-2024', kind: 'table', shape: null, classes: null },
        columns: [
          { name: 'age', kind: 'number' },
          { name: 'hf_12m', kind: 'category' },
        ],
        ...{ rows_at_least: 32_768, published_at: TIME },
      },
    ],
  })
