import { expect, test } from '@jest/globals'
import { bytesPerSecondOf } from '#cli/rate.ts'

test.each([
  ['4Mbit/s', 500_000],
  ['1.5 kbit/s', 187.5],
  ['8bit/s', 1],
  ['512KiB/s', 524_288],
  ['10MB/s', 10_000_000],
  ['1GiB/s', 2 ** 30],
])('%s is %d bytes a second', (text, bytes) => {
  expect(bytesPerSecondOf(text)).toBe(bytes)
})

test.each([
  '4Mb/s',
  '4mbit/s',
  '4Mbit',
  '4',
  'Mbit/s',
  '-4Mbit/s',
  '4e6B/s',
  '1e3',
  '٤Mbit/s',
  '4Mbit/s ',
  '',
  '4toString/s',
])('%j is no rate: what may mean two things is not guessed', (text) => {
  expect(bytesPerSecondOf(text)).toBeUndefined()
})
