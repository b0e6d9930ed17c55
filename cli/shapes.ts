import { z } from 'zod'
import { auditEventView } from '#coordinator/api/audit.ts'
import { dryRunView } from '#coordinator/api/dry-run.ts'
import {
  acceptedView,
  datasetView,
  federationView,
  inviteView,
  memberView,
} from '#coordinator/api/federation-schemas.ts'
import { apiKeyView, madeKeyView, whoamiView } from '#coordinator/api/keys.ts'
import { nodeView, nodeWithHistoryView } from '#coordinator/api/node-views.ts'
import { balanceView, payoutView } from '#coordinator/api/payouts.ts'
import { providerView, publicationsPage } from '#coordinator/api/publications.ts'
import { roundView, roundWithSeatsView, runView } from '#coordinator/api/run-views.ts'
import { eventView, page, problemView } from '#coordinator/api/schemas.ts'
import { deliveryView, endpointView, endpointWithSecretView } from '#coordinator/api/webhook-schemas.ts'
import { type Command, dryRun } from './command.ts'
import { COMMANDS } from './commands.ts'
import { schemaFile } from './help.ts'
import { askedShape } from './shapes/answer.ts'
import * as models from './shapes/models.ts'
import * as nodes from './shapes/nodes.ts'
import * as processes from './shapes/processes.ts'
import * as records from './shapes/records.ts'
import * as runs from './shapes/runs.ts'
import * as settings from './shapes/settings.ts'

/** What is printed with --json: one object, or one a line. */
export type Shape = { readonly schema: z.ZodType; readonly lines: boolean }

const one = (schema: z.ZodType): Shape => ({ schema, lines: false })
const lines = (schema: z.ZodType): Shape => ({ schema, lines: true })
/** All of them, however many pages that took. */
const list = (item: z.ZodType): Shape => one(z.object({ data: z.array(item) }))

/**
 * What commands print with --json, under the names that the table of commands has for it. Where that is what the API
 * answers it is the API's own shape.
 */
export const SHAPES = {
  run: one(runView),
  'run-with-history': one(z.union([runs.runWithHistoryShape, roundWithSeatsView])),
  runs: one(page(runView)),
  launched: lines(z.union([runView, dryRunView, eventView])),
  forecast: one(dryRunView),
  round: one(roundWithSeatsView),
  rounds: list(roundView),
  compared: one(runs.comparedShape),
  events: lines(eventView),
  answer: one(askedShape),
  node: one(nodeWithHistoryView),
  'node-invited': one(nodeView),
  nodes: list(nodeView),
  datasets: list(datasetView),
  federation: one(federationView),
  'federation-with-members': one(runs.federationWithMembersShape),
  federations: list(federationView),
  dissolved: one(runs.dissolvedShape),
  member: one(memberView),
  members: list(memberView),
  'member-removed': one(runs.memberRemovedShape),
  invited: one(runs.invitedShape),
  invites: list(inviteView),
  'invite-revoked': one(runs.inviteRevokedShape),
  joined: one(z.object({ ...nodes.joinedFields, ...acceptedView.shape })),
  who: one(whoamiView),
  key: one(apiKeyView),
  'made-key': one(madeKeyView),
  keys: list(apiKeyView),
  audited: one(page(auditEventView)),
  'audit-verified': one(records.auditVerifiedShape),
  endpoints: one(page(endpointView)),
  'made-endpoint': one(endpointWithSecretView),
  'endpoint-removed': one(runs.endpointRemovedShape),
  delivery: one(deliveryView),
  listened: lines(z.union([runs.listeningShape, deliveryView])),
  deliveries: one(page(deliveryView)),
  publications: one(publicationsPage),
  providers: list(providerView),
  balances: list(balanceView),
  payouts: list(payoutView),
  receipt: one(records.receiptShape),
  verdict: one(records.verdictShape),
  bundle: one(records.bundleShape),
  'bundles-diff': one(records.bundlesDiffShape),
  exported: one(records.exportedShape),
  imported: one(records.importedShape),
  pulled: one(models.pulledShape),
  card: one(models.cardShape),
  'model-diff': one(models.modelDiffShape),
  coordinator: one(processes.coordinatorShape),
  'kubo-config': one(processes.kuboConfigShape),
  'swarm-key': one(processes.swarmKeyShape),
  demo: lines(processes.demoLineShape),
  sim: lines(processes.simLineShape),
  'node-id': one(nodes.nodeIdShape),
  'node-lines': lines(nodes.nodeLineShape),
  switched: one(nodes.switchedShape),
  backends: one(nodes.backendsShape),
  bench: one(nodes.benchShape),
  created: one(settings.createdShape),
  'logged-in': one(settings.loggedInShape),
  'logged-out': one(settings.loggedOutShape),
  settings: one(settings.settingsShape),
  setting: one(settings.settingShape),
  'settings-path': one(settings.settingsPathShape),
  diagnosis: one(settings.diagnosisShape),
  help: one(settings.helpShape),
  version: one(settings.versionShape),
} satisfies Readonly<Record<string, Shape>>

export type ShapeName = keyof typeof SHAPES

/** What any command writes to stderr, on the last line, where it does not do its work. */
const failureShape = problemView
  .partial({ status: true, instance: true, request_id: true })
  .extend({
    exit: z.int().meta({ description: 'the exit code' }),
    fix: z.string().nullable().meta({ description: 'what to do now' }),
    lines: z
      .array(z.object({ label: z.string(), text: z.string() }))
      .optional()
      .meta({ description: 'what is known of it, where no API answered it' }),
  })
  // Members of what stands in front of a coordinator are kept as they came.
  .loose()

export type JsonSchema = { readonly [keyword: string]: unknown }

/** Of each line where there are several; undefined for what is not ours to describe. */
export function outputSchema(command: Command): JsonSchema | undefined {
  if (command.prints === 'as-it-comes') return undefined
  const { schema: printed, lines }: Shape = SHAPES[command.prints]
  const schema = command.options.includes(dryRun) ? z.union([printed, settings.unsentShape]) : printed
  const description = lines ? 'each line that it writes to stdout' : 'the object that it writes to stdout'
  return jsonSchema(`consilium ${command.name} --json`, description, schema)
}

/** docs/schemas/cli: a file for each command, and one for what goes wrong in any. */
export function schemaFiles(): ReadonlyMap<string, string> {
  const ofCommands = COMMANDS.flatMap((command) => {
    const schema = outputSchema(command)
    return schema ? [[schemaFile(command.name), schema] as const] : []
  })
  const failure = jsonSchema('the error of any command with --json', 'the line that it writes to stderr', failureShape)
  const all = [...ofCommands, ['problem.json', failure] as const]
  return new Map(all.map(([name, schema]) => [name, `${JSON.stringify(schema, null, 2)}\n`]))
}

function jsonSchema(title: string, description: string, schema: z.ZodType): JsonSchema {
  const { $schema, ...body } = z.toJSONSchema(schema, { target: 'draft-2020-12', unrepresentable: 'any' })
  return { $schema, title, ...body, description }
}
