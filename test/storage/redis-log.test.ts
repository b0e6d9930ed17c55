import { openRedisLog } from '#storage/logs/redis.ts'
import { eventLogConformance, sharedLogConformance } from '#test/conformance/logs.ts'
import { redisForTests } from '#test/redis.ts'

const server = await redisForTests('the log in Redis')

if (server) {
  eventLogConformance('redis', async () => openRedisLog(await server.open()))
  sharedLogConformance('redis', async () => {
    const prefix = 'shared'
    return [openRedisLog(await server.open({ prefix })), openRedisLog(await server.open({ prefix }))]
  })
}
