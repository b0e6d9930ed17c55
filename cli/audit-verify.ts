import { openApi } from './api-client.ts'
import { type Arguments, usage } from './arguments.ts'
import { AuditChain, type AuditHead } from './audit-chain.ts'
import type { Call } from './command.ts'
import { EXIT, Failure } from './failure.ts'

/** `consilium audit verify`: the whole log, entry by entry, against the hashes that name them and one that was noted. */
export async function execute({ args, output }: Call): Promise<number> {
  const chain = new AuditChain(notedOf(args))
  const api = await openApi(args)
  const { federation } = await api.whoami()
  if (federation !== null)
    throw usage('of_one_federation', `this key sees what keys of ${federation} did, and not the whole log`)
  for await (const event of api.keys.audit({ limit: 200 })) check(chain.follow(event))
  check(chain.end())
  const { head, linkedFrom } = chain
  if (output.json) output.object({ entries: (head?.seq ?? -1) + 1, head: head ?? null, linked_from: linkedFrom })
  else if (!head) output.note('nothing was changed through the API yet')
  else {
    output.line(`entries    ${head.seq + 1}`)
    if (linkedFrom !== null && linkedFrom > 1)
      output.line(`linked     from ${linkedFrom} on; those before ${linkedFrom - 1} are of earlier versions`)
    output.line(`head       ${head.seq}:${head.hash}`)
    output.note(`note it elsewhere; later: consilium audit verify --head ${head.seq}:${head.hash}`)
  }
  return EXIT.ok
}

function check(mistake: string | undefined): void {
  if (mistake !== undefined)
    throw new Failure(EXIT.unverified, 'audit_changed', mistake, {
      fix: 'whoever can write to the log has changed it: compare it with a backup',
    })
}

function notedOf(args: Arguments): AuditHead | undefined {
  const text = args.text('head')
  if (text === undefined) return undefined
  const [, seq, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text) ?? []
  if (seq !== undefined && hash !== undefined) return { seq: Number(seq), hash }
  throw usage('bad_value', `--head is what audit verify printed as head, 41:7c…, not ${text}`)
}
