import { type Command, Redis, type RedisOptions } from 'ioredis'

/** An ioredis client, and every duplicate of it, that shows no secrets and leaves nobody waiting once it is closed. */
export function openClient(options: Omit<RedisOptions, 'replyMapping'>): Redis {
  return amended(new Redis(options))
}

function amended(redis: Redis): Redis {
  const { sendCommand, duplicate, disconnect } = redis
  const unanswered = new Set<Command>()
  redis.sendCommand = (command, stream) => {
    const answer = sendCommand.call(redis, command, stream)
    if (unanswered.has(command)) return answer
    unanswered.add(command)
    const answered = () => unanswered.delete(command)
    // ioredis shows a failed command with all its arguments, such as the password or a whole entry. This is attached
    // before any caller can attach anything, so it comes first.
    command.promise.then(answered, (error: object) => {
      answered()
      Reflect.deleteProperty(error, 'command')
    })
    return answer
  }
  redis.disconnect = (reconnect = false) => {
    const pausing = redis.status === 'reconnecting'
    disconnect.call(redis, reconnect)
    // ioredis drops the next attempt and says nothing to anybody, since there is nothing open that could close.
    if (!reconnect && pausing) {
      redis.status = 'end'
      redis.emit('end')
    }
  }
  // Of what it keeps to send again, ioredis forgets that somebody waits for it.
  redis.on('end', () => {
    for (const command of unanswered) command.reject(new Error('Connection is closed.'))
  })
  redis.duplicate = ((override?: Partial<RedisOptions>) =>
    amended(duplicate.call(redis, override) as Redis)) as Redis['duplicate']
  return redis
}
