import { readdir, readFile } from 'node:fs/promises'
import { expect, test } from '@jest/globals'
import type { z } from 'zod'
import type { auditEventView } from '#coordinator/api/audit.ts'
import type { dryRunView } from '#coordinator/api/dry-run.ts'
import type {
  coordinatorView,
  datasetView,
  federationView,
  inviteView,
  inviteWithCodeView,
  memberView,
} from '#coordinator/api/federation-schemas.ts'
import type { apiKeyView, madeKeyView, whoamiView } from '#coordinator/api/keys.ts'
import type { matrixRowView } from '#coordinator/api/matrix.ts'
import type { metricsView } from '#coordinator/api/metrics.ts'
import type { modelView } from '#coordinator/api/models.ts'
import type { checkView, nodeView, nodeWithHistoryView } from '#coordinator/api/node-views.ts'
import type { balanceView, payoutView } from '#coordinator/api/payouts.ts'
import type { providerView, publicationsPage, publicationView } from '#coordinator/api/publications.ts'
import type * as runViews from '#coordinator/api/run-views.ts'
import type { fileView, page } from '#coordinator/api/schemas.ts'
import type { taskView } from '#coordinator/api/tasks.ts'
import type { verificationView } from '#coordinator/api/verification.ts'
import type { deliveryView, endpointView, endpointWithSecretView } from '#coordinator/api/webhook-schemas.ts'
import type * as access from '#sdk/views/access.ts'
import type * as dryRun from '#sdk/views/dry-run.ts'
import type * as federations from '#sdk/views/federations.ts'
import type * as models from '#sdk/views/models.ts'
import type * as nodes from '#sdk/views/nodes.ts'
import type * as pages from '#sdk/views/page.ts'
import type * as payments from '#sdk/views/payments.ts'
import type * as publications from '#sdk/views/publications.ts'
import type * as runs from '#sdk/views/runs.ts'
import type * as stats from '#sdk/views/stats.ts'
import type * as webhooks from '#sdk/views/webhooks.ts'

/** Fails to compile where the two are not the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Written out to the last member, so that two ways to say one shape are one. */
type Plain<T> = T extends object ? { -readonly [K in keyof T]: Plain<T[K]> } : T

type Held<Told, View extends z.ZodType> = Same<Plain<Told>, Plain<z.output<View>>>
type RunSchema = typeof runViews.runView

const held: Readonly<{
  ApiKeyView: Held<access.ApiKeyView, typeof apiKeyView>
  AuditEventView: Held<access.AuditEventView, typeof auditEventView>
  BalanceView: Held<payments.BalanceView, typeof balanceView>
  CoordinatorView: Held<federations.CoordinatorView, typeof coordinatorView>
  DatasetView: Held<nodes.DatasetView, typeof datasetView>
  DryRunView: Held<dryRun.DryRunView, typeof dryRunView>
  EvaluationView: Same<Plain<runs.EvaluationView>, Plain<NonNullable<z.output<RunSchema>['evaluation']>>>
  FederationView: Held<federations.FederationView, typeof federationView>
  FileView: Held<models.FileView, typeof fileView>
  InviteView: Held<federations.InviteView, typeof inviteView>
  InviteWithCodeView: Held<federations.InviteWithCodeView, typeof inviteWithCodeView>
  MadeApiKeyView: Held<access.MadeApiKeyView, typeof madeKeyView>
  MatrixRowView: Held<runs.MatrixRowView, typeof matrixRowView>
  MemberView: Held<federations.MemberView, typeof memberView>
  MetricsView: Held<runs.MetricsView, typeof metricsView>
  ModelView: Held<models.ModelView, typeof modelView>
  NodeView: Held<nodes.NodeView, typeof nodeView>
  NodeWithHistoryView: Held<nodes.NodeWithHistoryView, typeof nodeWithHistoryView>
  PageView: Same<Plain<pages.PageView<runs.RunView>>, Plain<z.output<ReturnType<typeof page<RunSchema>>>>>
  ProviderView: Held<publications.ProviderView, typeof providerView>
  PublicationView: Held<publications.PublicationView, typeof publicationView>
  PublicationsPageView: Held<publications.PublicationsPageView, typeof publicationsPage>
  ReceiptView: Held<payments.ReceiptView, typeof payoutView>
  RoundView: Held<runs.RoundView, typeof runViews.roundView>
  RoundWithSeatsView: Held<runs.RoundWithSeatsView, typeof runViews.roundWithSeatsView>
  RunCountsView: Held<runs.RunCountsView, typeof runViews.runCountsView>
  RunStatus: Same<runs.RunStatus, z.output<RunSchema>['status']>
  RunView: Held<runs.RunView, RunSchema>
  SeatView: Held<runs.SeatView, typeof runViews.seatView>
  SpeedView: Same<nodes.SpeedView, NonNullable<z.output<typeof nodeView>['capability']>['speeds'][number]>
  SpotCheckView: Held<nodes.SpotCheckView, typeof checkView>
  Standing: Same<nodes.Standing, z.output<typeof nodeView>['standing']>
  StatsQueryView: Held<stats.StatsQueryView, typeof runViews.statsQueryView>
  TaskView: Held<models.TaskView, typeof taskView>
  VerificationView: Held<runs.VerificationView, typeof verificationView>
  WebhookDeliveryView: Held<webhooks.WebhookDeliveryView, typeof deliveryView>
  WebhookEndpointView: Held<webhooks.WebhookEndpointView, typeof endpointView>
  WebhookEndpointWithSecretView: Held<webhooks.WebhookEndpointWithSecretView, typeof endpointWithSecretView>
  WhoamiView: Held<access.WhoamiView, typeof whoamiView>
}> = {
  ...{ ApiKeyView: true, AuditEventView: true, BalanceView: true, CoordinatorView: true, DatasetView: true },
  ...{ DryRunView: true, EvaluationView: true, FederationView: true, FileView: true, InviteView: true },
  ...{ InviteWithCodeView: true, MadeApiKeyView: true, MatrixRowView: true, MemberView: true, MetricsView: true },
  ...{ ModelView: true, NodeView: true, NodeWithHistoryView: true, PageView: true, ProviderView: true },
  ...{ PublicationView: true, PublicationsPageView: true, ReceiptView: true, RoundView: true, RunView: true },
  ...{
    RoundWithSeatsView: true,
    RunCountsView: true,
    RunStatus: true,
    SeatView: true,
    SpeedView: true,
    SpotCheckView: true,
  },
  ...{ Standing: true, StatsQueryView: true, TaskView: true, VerificationView: true, WebhookDeliveryView: true },
  ...{ WebhookEndpointView: true, WebhookEndpointWithSecretView: true, WhoamiView: true },
}

test('what the SDK says that the API answers is what its validators say: every view, to the last member', async () => {
  const files = await readdir('sdk/views')
  const texts = await Promise.all(files.map((file) => readFile(`sdk/views/${file}`, 'utf8')))
  const told = [...texts.join('').matchAll(/^export type (\w+)/gm)].map(([, name]) => name as string)
  expect(Object.keys(held).sort()).toEqual(told.sort())
  expect(Object.values(held)).not.toContain(false)
})
