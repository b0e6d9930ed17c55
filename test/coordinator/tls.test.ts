import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { startNode } from '#client/node.ts'
import { openSharedBlobs } from '#client/sharing.ts'
import { siteTerms } from '#client/site.ts'
import { startCoordinator } from '#coordinator/main.ts'
import { temporaryFolder } from '#test/folder.ts'
import { signer } from './live.ts'

const config = {
  admits: 'open',
  ...{ port: 0, graceMillis: 200, quotaBytes: 2 ** 20, logLevel: 'silent', version: '0.0.0' },
  fatal: (cause: unknown) => {
    throw cause
  },
} as const

test.each(['0.0.0.0', '::', '192.0.2.1'])('a coordinator does not listen on %s without TLS', async (host) => {
  await using folder = await temporaryFolder()
  await expect(startCoordinator({ ...config, state: folder.path, host, tls: undefined })).rejects.toThrow('without TLS')
})

test.each(['http://192.0.2.1:7410', 'http://coordinator.example'])('a node does not talk to %s', async (url) => {
  await using folder = await temporaryFolder()
  const node = startNode({
    ...{
      state: folder.path,
      urls: [url],
      coordinator: signer('coordinator').id,
      data: { kind: 'csv', path: 'none.csv' },
    },
    ...{
      backend: 'cpu',
      population: 'open',
      cohortMin: 2,
      site: siteTerms('open', 'open'),
      ...{ share: undefined, siteNodes: [], sharedBytes: 2 ** 24, linkChanged: () => undefined },
    },
  })
  await expect(node).rejects.toThrow('without TLS')
})

const openssl = spawnSync('openssl', ['version']).status === 0
if (!openssl) console.log('skipped: no openssl here to make a certificate; the refusals above still hold')
const withCertificate = openssl ? test : test.skip

withCertificate('with a certificate, everything is served over TLS', async () => {
  await using folder = await temporaryFolder()
  const [certFile, keyFile] = [join(folder.path, 'cert.pem'), join(folder.path, 'key.pem')]
  const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '1']
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1']
  expect(spawnSync('openssl', [...args, ...subject, '-keyout', keyFile, '-out', certFile]).status).toBe(0)
  const state = join(folder.path, 'state')
  await using coordinator = await startCoordinator({ ...config, state, host: '127.0.0.1', tls: { certFile, keyFile } })
  expect(coordinator.url).toMatch(/^https:/)
  const ca = await readFile(certFile)
  const statusOf = (url: string) =>
    new Promise((resolve, reject) => {
      request(url, { ca }, (answer) => resolve(answer.resume().statusCode))
        .on('error', reject)
        .end()
    })
  expect(await statusOf(`${coordinator.url}/healthz`)).toBe(200)
  await expect(fetch(coordinator.url.replace('https', 'http'))).rejects.toThrow()
  const share = { host: '127.0.0.1', port: 0, tls: { certFile, keyFile } }
  const shared = { folder: join(folder.path, 'shared'), sharedBytes: 2 ** 24, share, siteNodes: [] }
  await using node = await openSharedBlobs(shared, { url: coordinator.url })
  expect(node.url).toMatch(/^https:/)
  expect(await statusOf(`${node.url}/ipfs/bafkqaaa?format=raw`)).toBe(200)
})
