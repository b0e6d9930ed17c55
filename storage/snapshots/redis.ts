import type { Bytes } from '#protocol/ids.ts'
import type { Snapshots } from '#protocol/ports.ts'
import type { SharedRedis } from '../redis/connection.ts'
import { defineScript } from '../redis/script.ts'
import { seal, unseal } from './sealed.ts'

/** Snapshots in Redis, for all processes: whoever makes one spares the others the replay. */
export function openRedisSnapshots(redis: SharedRedis): Snapshots {
  const keyOf = (stream: string) => redis.key('snapshot', stream)
  const keep = defineScript<void>(redis.commands, { name: 'consiliumKeepSnapshot', keys: 1, lua: KEEP })
  return {
    async latest(stream) {
      const [position, sealed] = await redis.commands.hmgetBuffer(keyOf(stream), 'position', 'sealed')
      return position && sealed ? unseal(stream, Number(position.toString()), sealed as Bytes) : undefined
    },
    async keep(stream, snapshot) {
      await keep(keyOf(stream), snapshot.position, Buffer.from(seal(stream, snapshot)))
    },
  }
}

const KEEP = `
local kept = redis.call('HGET', KEYS[1], 'position')
if not kept or tonumber(kept) < tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'position', ARGV[1], 'sealed', ARGV[2])
end
`
