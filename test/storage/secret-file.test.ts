import { spawnSync } from 'node:child_process'
import { chmod, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from '@jest/globals'
import { toHex } from '#protocol/bytes.ts'
import { openKeyFile, openSecretFile } from '#storage/secret-file.ts'
import { temporaryFolder } from '#test/folder.ts'

const never = () => {
  throw new Error('there is one already')
}

describe('a secret file', () => {
  test('is made once, for its owner alone, and is the same ever after', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'deep', 'down', 'key')
    const made = await openSecretFile(path, () => Uint8Array.of(1, 2, 3))
    expect(toHex(made)).toBe('010203')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(toHex(await openSecretFile(path, never))).toBe('010203')
    expect(await readdir(join(folder.path, 'deep', 'down'))).toEqual(['key'])
  })

  test('of a process that died while it was made is not there, and the next one makes it', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'key')
    const script = fileURLToPath(new URL('./children/make-secret.ts', import.meta.url))
    expect(spawnSync(process.execPath, [script, path]).signal).toBe('SIGKILL')
    expect(await readdir(folder.path)).not.toContain('key')
    expect(toHex(await openSecretFile(path, () => Uint8Array.of(7)))).toBe('07')
  })

  test('made by many at once is one', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'key')
    const all = await Promise.all(
      Array.from({ length: 20 }, (_, index) => openKeyFile(path, () => new Uint8Array(32).fill(index))),
    )
    expect(new Set(all.map(toHex)).size).toBe(1)
    expect(toHex(await openKeyFile(path, never))).toBe(toHex(all[0] as Uint8Array))
    expect(await readdir(folder.path)).toEqual(['key'])
  })

  test('that others can read, that is empty or of the wrong length is refused, and left as it is', async () => {
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'key')
    await writeFile(path, '', { mode: 0o600 })
    await expect(openSecretFile(path, never)).rejects.toThrow('is empty')
    await writeFile(path, 'short')
    await expect(openKeyFile(path, never)).rejects.toThrow('5 bytes, not 32')
    await chmod(path, 0o640)
    await expect(openSecretFile(path, never)).rejects.toThrow('chmod 600')
    expect((await stat(path)).size).toBe(5)
  })
})
