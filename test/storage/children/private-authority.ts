import { readAtMost } from '#storage/blobs/exchange.ts'
import { openHttp } from '#storage/blobs/http-node.ts'

/** Says what the URL answers, or why it is not asked. `node private-authority.ts <url>` */
await using http = openHttp()
try {
  const answer = await http.fetch(new URL(process.argv[2] ?? ''), {
    signal: new AbortController().signal,
    redirect: 'error',
  })
  process.stdout.write(await readAtMost(answer, 1000))
} catch (cause) {
  process.stdout.write(String(cause))
}
