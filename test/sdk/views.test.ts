import { readFile } from 'node:fs/promises'
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
import type { PublicationsPageView } from '#sdk/publications.ts'
import type * as views from '#sdk/views.ts'
import type * as webhooks from '#sdk/webhook-views.ts'

/** Fails to compile where the two are not the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Written out to the last member, so that two ways to say one shape are one. */
type Plain<T> = T extends object ? { -readonly [K in keyof T]: Plain<T[K]> } : T

type Held<Told, View extends z.ZodType> = Same<Plain<Told>, Plain<z.output<View>>>
type RunSchema = typeof runViews.runView

const held: Readonly<{
  ApiKeyView: Held<views.ApiKeyView, typeof apiKeyView>
  AuditEventView: Held<views.AuditEventView, typeof auditEventView>
  BalanceView: Held<views.BalanceView, typeof balanceView>
  CoordinatorView: Held<views.CoordinatorView, typeof coordinatorView>
  DatasetView: Held<views.DatasetView, typeof datasetView>
  DryRunView: Held<views.DryRunView, typeof dryRunView>
  EvaluationView: Same<Plain<views.EvaluationView>, Plain<NonNullable<z.output<RunSchema>['evaluation']>>>
  FederationView: Held<views.FederationView, typeof federationView>
  FileView: Held<views.FileView, typeof fileView>
  InviteView: Held<views.InviteView, typeof inviteView>
  InviteWithCodeView: Held<views.InviteWithCodeView, typeof inviteWithCodeView>
  MadeApiKeyView: Held<views.MadeApiKeyView, typeof madeKeyView>
  MatrixRowView: Held<views.MatrixRowView, typeof matrixRowView>
  MemberView: Held<views.MemberView, typeof memberView>
  MetricsView: Held<views.MetricsView, typeof metricsView>
  ModelView: Held<views.ModelView, typeof modelView>
  NodeView: Held<views.NodeView, typeof nodeView>
  NodeWithHistoryView: Held<views.NodeWithHistoryView, typeof nodeWithHistoryView>
  PageView: Same<Plain<views.PageView<views.RunView>>, Plain<z.output<ReturnType<typeof page<RunSchema>>>>>
  ProviderView: Held<views.ProviderView, typeof providerView>
  PublicationView: Held<views.PublicationView, typeof publicationView>
  PublicationsPageView: Held<PublicationsPageView, typeof publicationsPage>
  ReceiptView: Held<views.ReceiptView, typeof payoutView>
  RoundView: Held<views.RoundView, typeof runViews.roundView>
  RoundWithSeatsView: Held<views.RoundWithSeatsView, typeof runViews.roundWithSeatsView>
  RunStatus: Same<views.RunStatus, z.output<RunSchema>['status']>
  RunView: Held<views.RunView, RunSchema>
  SeatView: Held<views.SeatView, typeof runViews.seatView>
  SpeedView: Same<views.SpeedView, NonNullable<z.output<typeof nodeView>['capability']>['speeds'][number]>
  SpotCheckView: Held<views.SpotCheckView, typeof checkView>
  Standing: Same<views.Standing, z.output<typeof nodeView>['standing']>
  StatsQueryView: Held<views.StatsQueryView, typeof runViews.statsQueryView>
  TaskView: Held<views.TaskView, typeof taskView>
  VerificationView: Held<views.VerificationView, typeof verificationView>
  WebhookDeliveryView: Held<webhooks.WebhookDeliveryView, typeof deliveryView>
  WebhookEndpointView: Held<webhooks.WebhookEndpointView, typeof endpointView>
  WebhookEndpointWithSecretView: Held<webhooks.WebhookEndpointWithSecretView, typeof endpointWithSecretView>
  WhoamiView: Held<views.WhoamiView, typeof whoamiView>
}> = {
  ...{ ApiKeyView: true, AuditEventView: true, BalanceView: true, CoordinatorView: true, DatasetView: true },
  ...{ DryRunView: true, EvaluationView: true, FederationView: true, FileView: true, InviteView: true },
  ...{ InviteWithCodeView: true, MadeApiKeyView: true, MatrixRowView: true, MemberView: true, MetricsView: true },
  ...{ ModelView: true, NodeView: true, NodeWithHistoryView: true, PageView: true, ProviderView: true },
  ...{ PublicationView: true, PublicationsPageView: true, ReceiptView: true, RoundView: true, RunView: true },
  ...{ RoundWithSeatsView: true, RunStatus: true, SeatView: true, SpeedView: true, SpotCheckView: true },
  ...{ Standing: true, StatsQueryView: true, TaskView: true, VerificationView: true, WebhookDeliveryView: true },
  ...{ WebhookEndpointView: true, WebhookEndpointWithSecretView: true, WhoamiView: true },
}

test('what the SDK says that the API answers is what its validators say: every view, to the last member', async () => {
  const texts = await Promise.all(
    ['views', 'publications', 'webhook-views'].map((file) => readFile(`sdk/${file}.ts`, 'utf8')),
  )
  const told = [...texts.join('').matchAll(/^export type (\w+)/gm)].map(([, name]) => name as string)
  expect(Object.keys(held).sort()).toEqual(told.sort())
  expect(Object.values(held)).not.toContain(false)
})
