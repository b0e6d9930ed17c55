import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'

const SCRIPT = join(import.meta.dirname, '../../sdk/python/consilium.py')
const TASK = join(import.meta.dirname, '../../docs/example-task.json')
const here = spawnSync('python3', ['--version']).status === 0 ? test : test.skip

here('the Python client shows nothing of a key that cannot be sent', () => {
  for (const key of ['ck_sec\nret', 'ck_“secret”']) {
    const env = { ...process.env, CONSILIUM_API_KEY: key, CONSILIUM_COORDINATOR: 'http://127.0.0.1:1' }
    const { status, stdout, stderr } = spawnSync('python3', [SCRIPT, 'run', TASK], { env, encoding: 'utf8' })
    expect([status, stdout, stderr]).toEqual([1, '', 'error  an API key has other characters\n'])
  }
})
