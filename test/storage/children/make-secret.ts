import { openSecretFile } from '#storage/secret-file.ts'

/** Dies, as a power cut would end it, in the middle of making a secret. */
const [path = ''] = process.argv.slice(2)
await openSecretFile(path, () => {
  process.kill(process.pid, 'SIGKILL')
  return Uint8Array.of(1)
})
