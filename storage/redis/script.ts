import type { Redis } from 'ioredis'

/**
 * A Lua script as a function: Redis runs it whole, with nobody in between. Sent in full once for each connection and by
 * its hash after that, so the order of commands stays that of the calls.
 */
export function defineScript<Reply>(
  redis: Redis,
  { name, keys, lua }: { readonly name: string; readonly keys: number; readonly lua: string },
): (...parameters: readonly (string | number | Buffer)[]) => Promise<Reply> {
  redis.defineCommand(name, { numberOfKeys: keys, lua })
  const run = Reflect.get(redis, name) as (...parameters: readonly unknown[]) => Promise<Reply>
  return (...parameters) => run.call(redis, ...parameters)
}
