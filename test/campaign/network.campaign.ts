import { spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect, test } from '@jest/globals'
import { BadNetwork, NEAR_ADDRESS } from '#test/chaos/namespace.ts'
import { temporaryFolder } from '#test/folder.ts'

const SCRIPT = join(import.meta.dirname, '../chaos/bad-network.ts')
const LOSS = { lossPercent: 20, rate: '4mbit' }

const what =
  'a run over TLS with one node behind a wire of 4 Mbit/s that loses every fifth packet closes all its rounds'
const network = await BadNetwork.open(LOSS)
const openssl = spawnSync('openssl', ['version']).status === 0
const missing =
  typeof network === 'string' ? network : openssl ? undefined : 'there is no openssl to make a certificate'

if (typeof network === 'string' || missing) {
  process.stderr.write(`skipped: ${what}, since ${missing}\n`)
  test.skip(what, () => undefined)
} else
  test(what, async () => {
    await using bad = network
    await using folder = await temporaryFolder()
    const [certFile, keyFile] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')]
    const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1']
    const subject = ['-subj', `/CN=${NEAR_ADDRESS}`, '-addext', `subjectAltName=IP:${NEAR_ADDRESS}`]
    expect(spawnSync('openssl', [...args, ...subject, '-keyout', keyFile, '-out', certFile]).status).toBe(0)

    const command = [
      ...bad.through('near'),
      process.execPath,
      SCRIPT,
      NEAR_ADDRESS,
      certFile,
      keyFile,
      ...bad.through('far'),
    ]
    const child = spawn(command[0] as string, command.slice(1), {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NODE_EXTRA_CA_CERTS: certFile },
    })
    const said = JSON.parse(await text(child.stdout))
    expect(said).toMatchObject({ completed: true, closed: 3, aborted: [], money: { paid: '1000000', released: '0' } })
    expect(bad.dropped()).toBeGreaterThan(0)
    process.stdout.write(`network campaign: ${JSON.stringify({ ...LOSS, dropped: bad.dropped(), ...said })}\n`)
  }, 300_000)
