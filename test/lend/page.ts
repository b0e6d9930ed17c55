import type { Page } from 'puppeteer-core'
import { lendFiles } from '#cli/lend-files.ts'
import { type NodeConfig, type RunningNode, startNode } from '#client/node.ts'
import { siteTerms } from '#client/site.ts'
import type { RunningCoordinator } from '#coordinator/main.ts'

/** Bundled once a process. */
export const filesHere = lendFiles()

/** Rows of three columns, `z` following from the others. */
export function tableText(rows: number): string {
  const line = (row: number) => {
    const [x, y] = [Math.sin(row), Math.cos(3 * row)]
    return `${x},${y},${x + y > 0 ? 1 : 0}`
  }
  return ['x,y,z', ...Array.from({ length: rows }, (_, row) => line(row))].join('\n')
}

/** A node of Node.js beside the page's, on wasm. */
export async function nodeBeside(
  { url, id }: RunningCoordinator,
  state: string,
  data: NodeConfig['data'] = { kind: 'public' },
): Promise<RunningNode> {
  const node = await startNode({
    ...{ state, urls: [url], coordinator: id, data, backend: 'wasm', population: 'open', cohortMin: 2 },
    ...{ site: siteTerms('open', 'open'), share: undefined, siteNodes: [], sharedBytes: 2 ** 26 },
    linkChanged: () => undefined,
  })
  void Array.fromAsync(node.progress)
  return node
}

export async function textOf(page: Page, id: string): Promise<string> {
  return page.$eval(`#${id}`, (found) => found.textContent ?? '')
}

/** Until an element says that. */
export async function says(page: Page, id: string, pattern: RegExp): Promise<void> {
  const until = ([where, source]: readonly [string, string]) =>
    new RegExp(source).test(document.getElementById(where)?.textContent ?? '')
  await page.waitForFunction(until, { polling: 'mutation', timeout: 30_000 }, [id, pattern.source] as const)
}
