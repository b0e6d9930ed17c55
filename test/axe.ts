import axe from 'axe-core'
import type { Page } from 'puppeteer-core'

/** What keeps people out of a page as it is now, by rule and place. */
export async function violationsOn(page: Page): Promise<readonly string[]> {
  // By the debugger: a page's own policy lets no script in that is not its own.
  await page.evaluate(axe.source)
  const found = (await page.evaluate('axe.run()')) as {
    readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly target: unknown }[] }[]
  }
  return found.violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id} ${String(target)}`))
}
