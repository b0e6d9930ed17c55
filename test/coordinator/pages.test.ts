import { gzipSync } from 'node:zlib'
import { expect, test } from '@jest/globals'
import { fastify } from 'fastify'
import { dashboardRoutes } from '#coordinator/api/dashboard.ts'
import { answerProblem, type Problem } from '#coordinator/api/problems.ts'

test('whoever asks for pages too often is refused, and nobody at another address is', async () => {
  const server = fastify()
  server.setErrorHandler((cause, request, reply) => answerProblem(cause as Problem, request, reply))
  const files = async () => new Map([['index.html', gzipSync('<!doctype html>')]])
  dashboardRoutes(server, { files, bounds: { requests: { perSecond: 0.001, burst: 3 } } })
  const ask = async (remoteAddress: string, url: string) => (await server.inject({ url, remoteAddress })).statusCode
  const stranger: number[] = []
  for (let asked = 0; asked < 5; asked++) stranger.push(await ask('192.0.2.1', '/ui/nothing.js'))
  expect(stranger).toEqual([404, 404, 404, 429, 429])
  expect(await ask('192.0.2.2', '/')).toBe(200)
  const late = await server.inject({ url: '/', remoteAddress: '192.0.2.1' })
  expect([late.statusCode, late.headers['retry-after'], late.json().code]).toEqual([429, '1000', 'too_many_requests'])
  // A subscriber of IPv6 has more addresses than there are buckets.
  for (let host = 1; host <= 3; host++) expect(await ask(`2001:db8::${host}`, '/')).toBe(200)
  expect(await ask('2001:db8::4', '/')).toBe(429)
  expect(await ask('2001:db8:0:1::4', '/')).toBe(200)
})
