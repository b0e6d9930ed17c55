import type { Redis } from 'ioredis'

const VERSION_MIN = '6.2'

/** What makes an answer of Redis a promise: it is on the disk, and nothing is thrown out to make room. */
const REQUIRED = [
  { name: 'appendonly', value: 'yes', why: 'what it acknowledged would be gone after a crash' },
  { name: 'appendfsync', value: 'always', why: 'it would acknowledge what is not on the disk yet' },
  { name: 'no-appendfsync-on-rewrite', value: 'no', why: 'it would not sync while it rewrites its file' },
  { name: 'maxmemory-policy', value: 'noeviction', why: 'it would throw out parts of the log when memory is short' },
] as const

/** Throws, with the fix, when this Redis may lose what it acknowledged. */
export async function checkRequirements(redis: Redis): Promise<void> {
  const version = /^redis_version:(\d+)\.(\d+)/m.exec(await redis.info('server'))
  const [major, minor] = [Number(version?.[1]), Number(version?.[2])]
  if (!(major > 6 || (major === 6 && minor >= 2)))
    throw new Error(
      `Redis is of version ${version ? `${major}.${minor}` : 'unknown'}; ${VERSION_MIN} or later is needed`,
    )
  const wrong: string[] = []
  for (const { name, value, why } of REQUIRED) {
    const found = await configOf(redis, name)
    if (found !== value)
      wrong.push(
        `Redis has ${name} ${found ?? 'unset'}, so ${why}: put "${name} ${value}" into redis.conf, ` +
          `and run "CONFIG SET ${name} ${value}" for the server that runs now`,
      )
  }
  if (wrong.length > 0) throw new Error(wrong.join('\n'))
}

async function configOf(redis: Redis, name: string): Promise<string | undefined> {
  let answer: unknown
  try {
    answer = await redis.config('GET', name)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new Error(
      `Redis does not show its configuration (${reason}), so nobody can know whether it keeps what it acknowledges: ` +
        'let our user read it with "ACL SETUSER <user> +config|get", or, where a rename-command line hides CONFIG, ' +
        'remove that line from redis.conf',
    )
  }
  return Array.isArray(answer) && typeof answer[1] === 'string' ? answer[1] : undefined
}
