import { Consilium } from '#sdk/client.ts'
import type { CreateRun } from '#sdk/task.ts'

/** What a page does with a coordinator elsewhere, and what comes of it; by name what fails, where it may not. */
export async function used(url: string, { key, order }: { readonly key: string; readonly order: CreateRun }) {
  const client = new Consilium({ url, apiKey: key, maxRetries: 0 })
  try {
    const run = await client.runs.create(order)
    const { view } = await run.done()
    const model = await run.model()
    const types = (await Array.fromAsync(run.events())).map(({ type }) => type)
    const { headers } = await client.transport.answer(`/v1/runs/${run.id}`)
    return { status: view.status, model: model.cid, last: types.at(-1), etag: headers.get('etag') !== null }
  } catch (cause) {
    return (cause as Error).name
  }
}

/** What a page gets with the cookie of the browser it is in. */
export async function asked(url: string): Promise<number | string> {
  return fetch(url, { credentials: 'include' }).then(
    ({ status }) => status,
    (cause: Error) => cause.name,
  )
}
