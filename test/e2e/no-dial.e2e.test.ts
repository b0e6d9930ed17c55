import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from '@jest/globals'
import { startProcess } from '#cli/demo/process.ts'
import { cidOf, RAW } from '#protocol/cid.ts'
import { contentOf } from '#test/content.ts'
import { temporaryFolder } from '#test/folder.ts'
import { addressOf, loopbackPeer } from '#test/libp2p.ts'
import { alone, dialsIn, outside, recorded } from './dials.ts'

test('whatever leaves a program for another machine is written down, and stopped', async () => {
  await using folder = await temporaryFolder()
  const [script, file] = [join(folder.path, 'planted.mjs'), join(folder.path, 'dials')]
  await writeFile(script, PLANTED)
  const [first, ...others] = [...alone, ...recorded(file), process.execPath, script]
  const child = spawn(first as string, others, { stdio: ['ignore', 'pipe', 'inherit'] })
  expect(JSON.parse(await text(child.stdout))).toEqual({ stopped: PLANTS, here: 'ok' })
  const dials = await dialsIn(file)
  expect(dials.filter(({ worker }) => worker).map(({ to }) => to)).toEqual(['198.51.100.1'])
  expect(outside(dials).length).toBe(PLANTS + 1)
  expect(dials).toContainEqual({ kind: 'connect', to: '127.0.0.1', worker: false })
})

test('a coordinator with a libp2p peer dials whom it was told of, and nobody whom these tell it of', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'dials')
  await using told = await loopbackPeer({ listen: ['/ip4/127.0.0.1/tcp/0'] })
  const libp2p = ['--libp2p', '/ip4/127.0.0.1/tcp/0', '--libp2p-peer', addressOf(told)]
  const args = ['coordinator', 'up', '--open', '--port', '0', '--state', folder.path, ...libp2p]
  await using coordinator = await startProcess('coordinator', folder.path, args, recorded(file))
  const { libp2p: addresses } = await coordinator.first('coordinator.ready')
  await using stranger = await loopbackPeer({ peers: addresses as readonly string[] })
  expect(await stranger.want(cidOf(RAW, contentOf('nowhere', 9)))).toBeUndefined()
  const dials = await dialsIn(file)
  expect(outside(dials)).toEqual([])
  expect(dials).toContainEqual({ kind: 'connect', to: '127.0.0.1', worker: false })
}, 60_000)

/** How many things {@link PLANTED} tries in its main thread. */
const PLANTS = 13
const PLANTED = `
import { createSocket } from 'node:dgram'
import dns, { lookup, promises, resolve4 } from 'node:dns'
import http from 'node:http'
import https from 'node:https'
import net, { connect, createServer } from 'node:net'
import tls from 'node:tls'
import { Worker } from 'node:worker_threads'

const settles = (act) => new Promise((settle, fail) => {
  const made = act((cause) => (cause ? fail(cause) : settle()))
  made?.on?.('error', fail).on('connect', settle)
  made?.then?.(settle, fail)
})
const tries = [
  () => net.connect(9, '192.0.2.1'),
  () => connect({ host: '192.0.2.2', port: 9 }),
  () => new net.Socket().connect(9, '192.0.2.3'),
  () => tls.connect({ host: '192.0.2.4', port: 9 }),
  () => http.get('http://192.0.2.5/'),
  () => https.get('https://192.0.2.6/'),
  () => fetch('http://192.0.2.7/'),
  () => fetch('https://bootstrap.example/'),
  (done) => createSocket('udp4').send('x', 9, '192.0.2.9', done),
  (done) => lookup('one.example', done),
  (done) => resolve4('two.example', done),
  () => promises.resolveTxt('_dnsaddr.three.example'),
  () => new dns.promises.Resolver().resolve4('four.example'),
]
let stopped = 0
for (const one of tries)
  await settles(one).catch((cause) => {
    if (/the recorder stopped it/.test([cause.message, cause.cause?.message].join())) stopped++
    else throw cause
  })
const server = createServer((socket) => socket.end()).listen(0, '127.0.0.1')
await new Promise((resolve) => server.once('listening', resolve))
await settles(() => connect(server.address().port, '127.0.0.1'))
server.close()
const worker = new Worker("require('node:net').connect(9, '198.51.100.1')", { eval: true })
await new Promise((resolve) => worker.once('error', resolve))
console.log(JSON.stringify({ stopped, here: 'ok' }))
process.exit()
`
