import { join } from 'node:path'
import { afterAll } from '@jest/globals'
import { openMemoryLog } from '#storage/logs/memory.ts'
import { openSqliteLog } from '#storage/logs/sqlite.ts'
import { eventLogConformance, sharedLogConformance } from '#test/conformance/logs.ts'
import { temporaryFolder } from '#test/folder.ts'

const shared = await temporaryFolder()
afterAll(async () => {
  await shared[Symbol.asyncDispose]()
})

eventLogConformance('memory', () => openMemoryLog())
eventLogConformance('sqlite', () => openSqliteLog({ file: join(shared.path, 'conformance.sqlite') }))

const log = openMemoryLog()
sharedLogConformance('memory', () => [log, log])
