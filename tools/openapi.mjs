// Writes docs/openapi.json from the validators, by asking a coordinator that lives for a moment in a temporary folder.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startCoordinator } from '../coordinator/main.ts'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
const state = await mkdtemp(join(tmpdir(), 'consilium-openapi-'))
const coordinator = await startCoordinator({
  ...{ state, host: '127.0.0.1', port: 0, tls: undefined, admits: 'open', graceMillis: 1000 },
  ...{ quotaBytes: 2 ** 20, logLevel: 'error', version, fatal: console.error },
})
const description = await (await fetch(`${coordinator.url}/openapi.json`)).json()
await writeFile(join(root, 'docs/openapi.json'), `${JSON.stringify(description, null, 2)}\n`)
await coordinator[Symbol.asyncDispose]()
await rm(state, { recursive: true, force: true })
