import type { Page } from 'puppeteer-core'
import { pageFiles } from '#cli/page-files.ts'
import { type NodeConfig, type RunningNode, startNode } from '#client/node.ts'
import { siteTerms } from '#client/site.ts'
import type { RunningCoordinator } from '#coordinator/main.ts'
import { TOY_TASK } from '#sim/toy.ts'
import type { Live } from '#test/coordinator/live.ts'
import { fileOf } from '#verify/bundle.ts'
import { verifyBundle } from '#verify/verify.ts'

/** Bundled once a process. */
export const filesHere = pageFiles('lend')

/** Rows of three columns, `z` following from the others. */
function tableText(rows: number): string {
  const line = (row: number) => {
    const [x, y] = [Math.sin(row), Math.cos(3 * row)]
    return `${x},${y},${x + y > 0 ? 1 : 0}`
  }
  return ['x,y,z', ...Array.from({ length: rows }, (_, row) => line(row))].join('\n')
}

/** A node of Node.js beside the page's. */
export async function nodeBeside(
  { url, id }: RunningCoordinator,
  state: string,
  { data = { kind: 'public' }, backend = 'wasm' }: Partial<Pick<NodeConfig, 'data' | 'backend'>> = {},
): Promise<RunningNode> {
  const node = await startNode({
    ...{ state, urls: [url], coordinator: id, data, backend, population: 'open', cohortMin: 2 },
    ...{ site: siteTerms('open', 'open'), share: undefined, siteNodes: [], sharedBytes: 2 ** 26 },
    linkChanged: () => undefined,
  })
  void Array.fromAsync(node.progress)
  return node
}

export async function textOf(page: Page, id: string): Promise<string> {
  return page.$eval(`#${id}`, (found) => found.textContent ?? '')
}

const SAID_MILLIS = 120_000

/** Until an element says that, however busy the machine is. */
export async function says(page: Page, id: string, pattern: RegExp): Promise<void> {
  const until = ([where, source]: readonly [string, string]) =>
    new RegExp(source).test(document.getElementById(where)?.textContent ?? '')
  await page.waitForFunction(until, { polling: 'mutation', timeout: SAID_MILLIS }, [id, pattern.source] as const)
}

/** Listens from now on for an element to say that, be it in passing. @returns what waits until it has */
export async function overhears(page: Page, id: string, pattern: RegExp): Promise<() => Promise<void>> {
  const heard = await page.evaluateHandle(
    (where, source) => {
      const found = document.getElementById(where)
      const { promise, resolve } = Promise.withResolvers<void>()
      const listen = () => new RegExp(source).test(found?.textContent ?? '') && resolve()
      if (found) new MutationObserver(listen).observe(found, { childList: true, characterData: true, subtree: true })
      return { promise }
    },
    id,
    pattern.source,
  )
  return () => heard.evaluate(({ promise }) => promise)
}

/** Launches a run on public data, and answers its verdict when it has ended. */
export async function runOf(at: Live, change: object): Promise<Redone> {
  const table = tableText(120)
  const file = await at.api('/v1/files', {
    method: 'POST',
    body: table,
    headers: { 'content-type': 'application/octet-stream' },
  })
  const { cid } = (await file.json()) as { readonly cid: string }
  const task = { ...TOY_TASK, data: { ...TOY_TASK.data, rowsMax: 60 }, publicData: { kind: 'csv', table: cid } }
  // A node whose machine does other things takes its time to join, too.
  const timing = {
    selectionMillis: 60_000,
    reportingMillis: 60_000,
    aggregationMillis: 60_000,
    settlementMillis: 60_000,
  }
  const launched = await at.launch({ task, timing, ...change })
  const { id } = (await launched.json()) as { readonly id: string }
  const events = await at.api(`/v1/runs/${id}/events`, { headers: { accept: 'text/event-stream' } })
  // It ends with the run.
  await events.text()
  const bundle = new Uint8Array(await (await at.api(`/v1/runs/${id}/bundle`)).arrayBuffer())
  if (Buffer.from(bundle).includes(table)) throw new Error('a record holds the data that nodes trained on')
  return (await verifyBundle(fileOf(bundle), {})) as unknown as Redone
}

/** @property nodes whose signed updates are in the record */
type Redone = { readonly ok: boolean; readonly masking: string; readonly nodes: readonly string[] }
