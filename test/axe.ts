import axe from 'axe-core'
import type { Page } from 'puppeteer-core'

/** What keeps people out of a page as it is now, by rule and place. */
export async function violationsOn(page: Page): Promise<readonly string[]> {
  return violationsBy((script) => page.evaluate(`(async () => { ${script} })()`) as Promise<never>)
}

/** The same. @param ask what a script returns that the debugger runs: a page's own policy lets none in that is not its own */
export async function violationsBy(ask: <T>(script: string) => Promise<T>): Promise<readonly string[]> {
  const found = await ask<{
    readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly target: unknown }[] }[]
  }>(`${axe.source}; return axe.run()`)
  return found.violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id} ${String(target)}`))
}
