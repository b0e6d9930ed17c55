import type { z } from 'zod'
import { page } from '#coordinator/api/schemas.ts'
import { deliveryView, endpointView, endpointWithSecretView } from '#coordinator/api/webhook-schemas.ts'
import { type ApiClient, openApiClient } from './api-client.ts'
import type { Arguments } from './arguments.ts'
import { idOf, KINDS } from './identified.ts'

export type DeliveryView = z.output<typeof deliveryView>

const ROOT = '/v1/webhook-endpoints'

/** Who is told of what happens, as the API has it. */
export class WebhooksClient {
  readonly #api: ApiClient

  constructor(api: ApiClient) {
    this.#api = api
  }

  /** The most that there can be are one page. */
  async list(): Promise<z.output<ReturnType<typeof page<typeof endpointView>>>> {
    return this.#api.request(`${ROOT}?limit=200`, page(endpointView))
  }

  create(
    endpoint: { readonly url: string; readonly events?: readonly string[]; readonly description?: string },
    idempotencyKey: string | undefined,
  ): Promise<z.output<typeof endpointWithSecretView>> {
    return this.#api.request(ROOT, endpointWithSecretView, { method: 'POST', json: endpoint, idempotencyKey })
  }

  async rotate(
    text: string,
    overlapSeconds: number,
    idempotencyKey: string | undefined,
  ): Promise<z.output<typeof endpointWithSecretView>> {
    const path = `${ROOT}/${encodeURIComponent(await this.#idOf(text))}/rotate-secret`
    return this.#api.request(path, endpointWithSecretView, { method: 'POST', json: { overlapSeconds }, idempotencyKey })
  }

  /** By its id, or a start of it that no other has, as the others here. @returns its id */
  async remove(text: string): Promise<string> {
    const id = await this.#idOf(text)
    await this.#api.answer(`${ROOT}/${encodeURIComponent(id)}`, { method: 'DELETE' })
    return id
  }

  async test(text: string): Promise<DeliveryView> {
    const id = await this.#idOf(text)
    return this.#api.request(`${ROOT}/${encodeURIComponent(id)}/test`, deliveryView, { method: 'POST' })
  }

  async deliveries(text: string): Promise<z.output<ReturnType<typeof page<typeof deliveryView>>>> {
    const id = await this.#idOf(text)
    return this.#api.request(`${ROOT}/${encodeURIComponent(id)}/deliveries?limit=200`, page(deliveryView))
  }

  #idOf(text: string): Promise<string> {
    return idOf(text, KINDS.endpoint, async () => (await this.list()).data)
  }
}

export async function openWebhooks(args: Arguments): Promise<WebhooksClient> {
  return new WebhooksClient(await openApiClient(args))
}
