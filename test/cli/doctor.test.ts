import { expect, test } from '@jest/globals'
import { certificateUntil, diskFree, nodeVersion, proxies, skew, versions } from '#cli/doctor.ts'

test('each check that fails or warns says how to mend it', () => {
  const found = [
    nodeVersion('22.1.0'),
    proxies({ https_proxy: 'http://proxy' }),
    diskFree(1e6, '/state'),
    diskFree(1e9, '/state'),
    versions('0.2.0', '0.1.0'),
    versions('0.1.1', '0.1.0'),
    certificateUntil('Nov 30 00:00:00 2026 GMT', Date.UTC(2026, 10, 22)),
  ]
  expect(found.map(({ status }) => status)).toEqual([
    ...['failed', 'warning', 'failed', 'warning', 'failed', 'warning', 'warning'],
  ])
  for (const { fix } of found) expect(fix).toMatch(/\w/)
})

test('what is as it should be is ok', () => {
  const found = [
    ...[nodeVersion('24.21.0'), proxies({}), proxies({ HTTP_PROXY: 'x', NODE_USE_ENV_PROXY: '1' })],
    ...[diskFree(1e12, '/state'), versions('0.1.0', '0.1.0')],
    certificateUntil('Nov 30 00:00:00 2027 GMT', Date.UTC(2026, 10, 22)),
  ]
  for (const { status, fix } of found) expect({ status, fix }).toEqual({ status: 'ok', fix: null })
})

test('another version is exit 12, and so is a Node that is too old', () => {
  expect(versions('0.2.0', '0.1.0').exit).toBe(12)
  expect(nodeVersion('18.0.0').exit).toBe(12)
})

test('a clock is judged by no more than a header tells, which has whole seconds', () => {
  const header = 'Sun, 22 Nov 2026 09:31:04 GMT'
  const theirs = Date.UTC(2026, 10, 22, 9, 31, 4)
  expect(skew(header, theirs + 900, theirs + 950).status).toBe('ok')
  expect(skew(header, theirs - 50, theirs - 10).status).toBe('ok')
  expect(skew(header, theirs + 6000, theirs + 6010)).toMatchObject({
    status: 'warning',
    detail: expect.stringMatching(/5\.0 s ahead/),
  })
  expect(skew(header, theirs - 60_000, theirs - 59_000)).toMatchObject({ status: 'failed' })
  expect(skew(null, 0, 0).status).toBe('skipped')
})
