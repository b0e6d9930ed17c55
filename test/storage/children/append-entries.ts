import { writeSync } from 'node:fs'
import { utf8 } from '#protocol/bytes.ts'
import { openSqliteLog } from '#storage/logs/sqlite.ts'

/** Appends for ever to four streams at once, and says each entry as it is acknowledged. Killed by its test. */
const [file = ''] = process.argv.slice(2)
const log = openSqliteLog({ file })

async function work(stream: string): Promise<void> {
  for (let position = await log.head(stream); ; position++) {
    if ((await log.append(stream, position, [utf8(`${stream} ${position}`)])) !== 'appended') return
    writeSync(1, `${stream} ${position}\n`)
  }
}

await Promise.all(['a', 'b', 'c', 'd'].map(work))
