import { spawnSync } from 'node:child_process'
import { expect, test } from '@jest/globals'
import { programAt } from '#test/program.ts'
import { DOCKER } from './container.ts'

const haproxy = programAt('HAPROXY', 'haproxy')
if (!haproxy)
  console.log("skipped: HAProxy does not read the balancer's settings, without one (HAPROXY, or on the PATH)")
const withHaproxy = haproxy ? test : test.skip

withHaproxy('HAProxy takes the settings of the balancer, but for names that only Docker knows', () => {
  const { status, stdout, stderr } = spawnSync(haproxy as string, ['-c', '-f', 'haproxy.cfg'], {
    ...{ cwd: DOCKER, encoding: 'utf8' },
  })
  const said = (stdout + stderr).split('\n')
  expect([
    status,
    ...said.filter((line) => /WARNING|ALERT/.test(line) && !/could not resolve address/.test(line)),
  ]).toEqual([0])
})
