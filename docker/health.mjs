// What HEALTHCHECK runs: `node health.mjs coordinator` asks the coordinator of this container whether it answers, and
// `node health.mjs node` asks whether any coordinator of this node can be reached from here, under the trust that the node
// itself has. Exit 0 when it is so. Plain JavaScript without a dependency: it runs every few seconds.
import { request as plain } from 'node:http'
import { request as secure } from 'node:https'

const WAIT_MILLIS = 4_000

/** @returns undefined when it answers 200 there, else what is wrong */
function ask(base, options = {}) {
  const { promise, resolve } = Promise.withResolvers()
  const url = new URL('/healthz', base)
  const request = url.protocol === 'https:' ? secure : plain
  const asked = request(url, { ...options, timeout: WAIT_MILLIS }, (answer) => {
    answer.resume()
    resolve(answer.statusCode === 200 ? undefined : `${url} answers ${answer.statusCode}`)
  })
  asked.on('timeout', () => asked.destroy(new Error(`no answer in ${WAIT_MILLIS} ms`)))
  asked.on('error', (cause) => resolve(`${url}: ${cause.message || cause.code}`))
  asked.end()
  return promise
}

/** On loopback of this container there is nobody to mistake for it, and its certificate is for its public name. */
function coordinator({ CONSILIUM_TLS_CERT_FILE, CONSILIUM_PORT }) {
  const scheme = CONSILIUM_TLS_CERT_FILE ? 'https' : 'http'
  return [ask(`${scheme}://127.0.0.1:${CONSILIUM_PORT || 7410}`, { rejectUnauthorized: false })]
}

function node({ CONSILIUM_COORDINATOR = '' }) {
  return CONSILIUM_COORDINATOR.split(',').map((base) => ask(base.trim()))
}

const roles = { coordinator, node }
const role = roles[process.argv[2]]
if (!role) throw new Error(`one of: ${Object.keys(roles).join(', ')}`)
const found = await Promise.all(role(process.env))
const healthy = found.includes(undefined)
if (!healthy) process.stdout.write(`${found.join('\n')}\n`)
process.exitCode = healthy ? 0 : 1
