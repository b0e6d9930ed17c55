import type { ApiEvent } from '#sdk/sse.ts'
import { accountOf, events, launched } from './account.ts'
import { Receipts } from './campaign.ts'
import { Deployment } from './deployment.ts'

/**
 * Run inside a namespace, with the certificate among those that it trusts: a coordinator at an address there, and three
 * nodes, the first of which is started through the rest of the arguments, at the other end of the wire. Says what became
 * of the run, in one line.
 */
const [address, certFile, keyFile, ...through] = process.argv.slice(2)
if (address === undefined || certFile === undefined || keyFile === undefined) throw new Error('an address and its TLS')
const flags = ['--host', address, '--tls-cert', certFile, '--tls-key', keyFile]
await using deployment = await Deployment.open({ seed: 'bad network', nodes: 3, flags, through })
const receipts = new Receipts(deployment)
const late = AbortSignal.timeout(240_000)
const run = await launched(deployment, deployment.order('bad network', 2), 'bad network', late)
const told: ApiEvent[] = []
for await (const event of events(deployment, run, late)) told.push(event)
const account = await accountOf(deployment, run, told, late)
const { completed, closed, aborted, ledger } = account
const millis = Date.parse(told.at(-1)?.time ?? '') - Date.parse(told[0]?.time ?? '')
const money = Object.fromEntries(Object.entries(ledger).map(([name, amount]) => [name, String(amount)]))
process.stdout.write(
  `${JSON.stringify({ completed, closed, aborted, money, receipts: receipts.check(account), millis })}\n`,
)
