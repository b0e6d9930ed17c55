import { Socket as DatagramSocket } from 'node:dgram'
import dns from 'node:dns'
import { appendFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { isIP, Socket } from 'node:net'
import { isMainThread } from 'node:worker_threads'

/**
 * Loaded before a program, and into its workers and the processes that it starts as well: writes down whom it connects to,
 * sends to, or looks up, and stops whatever would leave this machine before it does. By `--require`: a worker that is given
 * its script as text does not wait for what is loaded by `--import`.
 */
const file = process.env['CONSILIUM_DIALS']
if (file === undefined) throw new Error('CONSILIUM_DIALS names the file to write to')

export type Dial = {
  readonly kind: 'connect' | 'send' | 'look up'
  readonly to: string
  readonly worker: boolean
}

function record(kind: Dial['kind'], to: string): void {
  appendFileSync(file as string, `${JSON.stringify({ kind, to, worker: !isMainThread } satisfies Dial)}\n`)
  if (!isHere(to)) throw new Error(`the recorder stopped it: ${kind} ${to}`)
}

/** A path is a socket of this machine. */
function isHere(to: string): boolean {
  if (isIP(to) === 4) return to.startsWith('127.')
  return to === '::1' || to === 'localhost' || to.startsWith('/')
}

type Method = (this: unknown, ...args: never[]) => unknown

/** The method as it was, once whom it is for has been written down. */
function watch(owner: object, name: string, kind: Dial['kind'], whom: (args: readonly unknown[]) => string): void {
  const methods = owner as Record<string, Method>
  const method = methods[name]
  if (typeof method !== 'function') return
  methods[name] = function (...args) {
    record(kind, whom(args))
    return method.apply(this, args)
  }
}

watch(Socket.prototype, 'connect', 'connect', (args) => {
  // As `net` itself passes them on: its normalised arguments, an array, or what a person writes.
  const [first, second] = (Array.isArray(args[0]) ? args[0] : args) as [unknown, unknown]
  if (typeof first === 'object' && first !== null) {
    const { path, host } = first as { path?: string; host?: string }
    return path ?? host ?? 'localhost'
  }
  if (typeof first === 'string' && Number.isNaN(Number(first))) return first
  return typeof second === 'string' ? second : 'localhost'
})
watch(DatagramSocket.prototype, 'send', 'send', (args) => args.findLast((arg) => typeof arg === 'string') as string)
watch(DatagramSocket.prototype, 'connect', 'connect', (args) => String(args[1]))
const lookups = ['lookup', 'lookupService', 'reverse', ...Object.keys(dns).filter((name) => /^resolve/.test(name))]
for (const owner of [dns, dns.promises, dns.Resolver.prototype, dns.promises.Resolver.prototype])
  for (const name of lookups) watch(owner, name, 'look up', ([host]) => String(host))
syncBuiltinESMExports()
