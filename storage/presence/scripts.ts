import type { Millis, NodeId } from '#protocol/ids.ts'
import type { SharedRedis } from '../redis/connection.ts'
import { defineScript } from '../redis/script.ts'

/** A process is dead when it has not renewed for this many renewals. */
const RENEWALS_TILL_DEAD = 3
/** What a process may still want to know that was cut off from Redis; nobody comes back after this long. */
const FORGOTTEN_MILLIS = 3_600_000

/**
 * What is kept: `links` (node → process), `processes`, and for each process its `nodes`, those that `moved` to another
 * one while it may believe them linked here, and the key `alive`, which runs out. `watched` is when the processes began to renew without a gap; it runs out sooner than any process may be found
 * dead, so when it is there, whoever did not renew could have. Each script begins with what all of them need.
 */
export function openPresenceScripts(redis: SharedRedis, me: string, renewMillis: Millis) {
  const base = redis.key('presence', '')
  const define = <Reply>(name: string, lua: string) => {
    const run = defineScript<Reply>(redis.commands, { name: `consilium_${name}`, keys: 1, lua: COMMON + lua })
    return (...parameters: readonly string[]) =>
      run(base, me, renewMillis, RENEWALS_TILL_DEAD * renewMillis, ...parameters)
  }
  const claim = define<NodeId[]>('claim', CLAIM)
  return {
    /** @returns how many nodes are linked to this process, as the others see it */
    alive: define<number>('alive', ALIVE),
    mine: define<NodeId[]>('mine', MINE),
    arrived: define<void>('arrived', ARRIVED),
    departed: define<number>('departed', DEPARTED),
    /** @returns those that moved to another process, even if they are linked nowhere since */
    claim: (nodes: readonly NodeId[]) => claim(...nodes),
    has: define<number>('has', HAS),
    nodes: define<NodeId[]>('nodes', NODES),
    count: define<number>('count', COUNT),
    moved: define<NodeId[]>('moved', MOVED),
    /** @param token the same when the question is asked again because the answer was lost */
    orphans: define<NodeId[]>('orphans', ORPHANS),
    farewell: define<void>('farewell', FAREWELL),
  }
}

const COMMON = `
local base, me, renew, patience = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local forgotten = ${FORGOTTEN_MILLIS}
local call, links, processes = redis.call, base .. 'links', base .. 'processes'
local function nodesOf(process) return base .. 'nodes:' .. process end
local function movedOf(process) return base .. 'moved:' .. process end
local function aliveOf(process) return base .. 'alive:' .. process end
local function now()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function renewed()
  call('SET', aliveOf(me), '1', 'PX', patience)
  call('SADD', processes, me)
  if not call('SET', base .. 'watched', now(), 'PX', math.floor(renew * 1.5), 'NX') then
    call('PEXPIRE', base .. 'watched', math.floor(renew * 1.5))
  end
end
local function judge()
  local since = call('GET', base .. 'watched')
  local watched = since and now() - since >= patience
  return function(process)
    return process == me or not watched or call('EXISTS', aliveOf(process)) == 1
  end
end
local function link(node)
  call('HSET', links, node, me)
  call('SADD', nodesOf(me), node)
end
`

const ALIVE = `
renewed()
return call('SCARD', nodesOf(me))
`

const MINE = `return call('SMEMBERS', nodesOf(me))`

const ARRIVED = `
local node = ARGV[4]
local before = call('HGET', links, node)
if before and before ~= me then
  call('SREM', nodesOf(before), node)
  call('SADD', movedOf(before), node)
end
call('SREM', movedOf(me), node)
link(node)
renewed()
`

const DEPARTED = `
local node = ARGV[4]
call('SREM', movedOf(me), node)
if call('HGET', links, node) ~= me then return 0 end
call('HDEL', links, node)
call('SREM', nodesOf(me), node)
return 1
`

const CLAIM = `
local moved = {}
for index = 4, #ARGV do
  local node = ARGV[index]
  local process = call('HGET', links, node)
  if (process and process ~= me) or call('SISMEMBER', movedOf(me), node) == 1 then
    moved[#moved + 1] = node
    call('SADD', movedOf(me), node)
  else
    link(node)
  end
end
renewed()
return moved
`

const HAS = `
local process = call('HGET', links, ARGV[4])
if process and judge()(process) then return 1 end
return 0
`

const NODES = `
local lives, nodes = judge(), {}
for _, process in ipairs(call('SMEMBERS', processes)) do
  if lives(process) then
    for _, node in ipairs(call('SMEMBERS', nodesOf(process))) do nodes[#nodes + 1] = node end
  end
end
return nodes
`

const COUNT = `
local lives, count = judge(), 0
for _, process in ipairs(call('SMEMBERS', processes)) do
  if lives(process) then count = count + call('SCARD', nodesOf(process)) end
end
return count
`

const MOVED = `return call('SMEMBERS', movedOf(me))`

const ORPHANS = `
local told = base .. 'told:' .. ARGV[4]
if call('EXISTS', told) == 1 then return call('LRANGE', told, 0, -1) end
local lives, orphans = judge(), {}
for _, process in ipairs(call('SMEMBERS', processes)) do
  if not lives(process) then
    for _, node in ipairs(call('SMEMBERS', nodesOf(process))) do
      orphans[#orphans + 1] = node
      call('HDEL', links, node)
      call('RPUSH', told, node)
    end
    call('DEL', nodesOf(process))
    call('PEXPIRE', movedOf(process), forgotten)
    call('SREM', processes, process)
  end
end
call('PEXPIRE', told, forgotten)
return orphans
`

const FAREWELL = `
for _, node in ipairs(call('SMEMBERS', nodesOf(me))) do call('HDEL', links, node) end
call('DEL', nodesOf(me), movedOf(me), aliveOf(me))
call('SREM', processes, me)
`
