import { openApi } from './api-client.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { auditLine } from './render/access.ts'

/** `consilium audit ls` */
export async function execute({ args, output }: Call): Promise<number> {
  const limit = args.integer('limit', { min: 1, max: 200 })
  const page = await (await openApi(args)).keys.audit({ limit }).page()
  if (output.json) output.object(page)
  else {
    for (const event of page.data) output.line(auditLine(event))
    if (page.data.length === 0) output.note('nothing was changed through the API yet')
    if (page.has_more) output.note(`more is older: --limit ${Math.min(200, limit * 2)}`)
  }
  return EXIT.ok
}
