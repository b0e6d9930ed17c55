import { afterAll, test } from '@jest/globals'
import { type RedisServer, redisPath, startRedis } from './redis.ts'

/**
 * The server of one test file, or undefined, and then what is named here is skipped, with the reason printed.
 *
 * @param what the promises that cannot be tested without it
 */
export async function redisForTests(what: string): Promise<RedisServer | undefined> {
  const path = redisPath()
  if (path === undefined) {
    // Not by the console: of a file in which everything is skipped, Jest does not show what that said.
    process.stderr.write(`skipped: ${what}, since there is no redis-server on the PATH\n`)
    test.skip(what, () => undefined)
    return undefined
  }
  const server = await startRedis(path)
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
  })
  return server
}
