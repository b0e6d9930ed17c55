import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { statisticsVector } from '#test/vectors/statistics.ts'

const vector = statisticsVector()
const file = join(import.meta.dirname, '../vectors/statistics.json')

test('the vector of a question is what the code computes', () => {
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(vector)
})

const python = spawnSync('python3', ['--version'], { encoding: 'utf8' })
if (python.status !== 0)
  console.log('skipped: statistics are not computed a second time, since there is no python3 here')
const withPython = python.status === 0 ? test : test.skip

withPython('another program, written from the specification, counts and answers the same', () => {
  const oracle = join(import.meta.dirname, 'oracle.py')
  const said = spawnSync('python3', [oracle], { encoding: 'utf8', input: JSON.stringify(vector) })
  expect(said.stderr).toBe('')
  expect(JSON.parse(said.stdout)).toEqual({
    vectors: vector.sites.map((site) => site.vector),
    versions: vector.sites.map((site) => site.version),
    sum: vector.sum,
    answer: vector.answer,
  })
})
