import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { expect, test } from '@jest/globals'
import { signedRequest, webhookSecretOf } from '#coordinator/webhook-signature.ts'
import { comesTrue } from '#test/eventually.ts'
import { temporaryFolder } from '#test/folder.ts'
import { loopback } from '#test/loopback.ts'

/** The receivers of docs/webhooks.md, as they stand there but for the port. */
const root = process.cwd()
const page = await readFile('docs/webhooks.md', 'utf8')
const isThere = spawnSync('python3', ['--version']).status === 0
if (!isThere) process.stderr.write('skipped: the webhook receiver in Python (no python3 on the PATH)\n')

const module = pathToFileURL(join(root, 'sdk/webhook-signature.ts')).href
const RECEIVERS = [
  ['ts', 'receiver.mts', process.execPath, (code: string) => code.replace('consilium/sdk/webhook-signature', module)],
  ...(isThere ? [['python', 'receiver.py', 'python3', (code: string) => code] as const] : []),
] as const

const [old, present, other] = [1, 2, 3].map((fill) => webhookSecretOf(new Uint8Array(32).fill(fill))) as [
  string,
  string,
  string,
]
const now = Date.now()
const message = (id: string) => ({ id, type: 'run.completed', at: now, data: { run: `run of ${id}` } })

async function freePort(): Promise<number> {
  await using taken = await loopback(() => undefined)
  return taken.port
}

function ended(child: ChildProcess): AsyncDisposable {
  return {
    async [Symbol.asyncDispose]() {
      if (child.kill()) await once(child, 'exit')
    },
  }
}

test.each(RECEIVERS)(
  'the receiver in %s takes what is signed by its secret, once, and nothing else',
  async (language, file, program, adapted) => {
    const [, code = ''] = new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, 'm').exec(page) ?? []
    await using folder = await temporaryFolder()
    const port = await freePort()
    await writeFile(join(folder.path, file), adapted(code).replace('3000', String(port)))
    const env = {
      ...{ PATH: process.env['PATH'], PYTHONDONTWRITEBYTECODE: '1', PYTHONPATH: join(root, 'sdk/python') },
      WEBHOOK_SECRET: old,
    }
    const child = spawn(program, [file], { cwd: folder.path, env, stdio: ['ignore', 'pipe', 'ignore'] })
    await using _child = ended(child)
    const said = createInterface(child.stdout)[Symbol.asyncIterator]()
    const send = async ({ headers, body }: ReturnType<typeof signedRequest>) =>
      (await fetch(`http://127.0.0.1:${port}/hook`, { method: 'POST', headers, body })).status
    const stale = signedRequest([old], message('stale'), now - 600_000)
    await comesTrue(() =>
      send(stale)
        .then((status) => status === 401)
        .catch(() => false),
    )
    const good = signedRequest([old], message('one'), now)
    expect(await send(good)).toBe(204)
    expect(await said.next()).toMatchObject({ value: 'run.completed run of one' })
    const changed = { ...good, body: good.body.replace('one', 'two') }
    const forged = signedRequest([other], message('two'), now)
    expect([await send(changed), await send(forged)]).toEqual([401, 401])
    expect(await send({ ...good, headers: { 'content-type': 'application/json' } })).toBe(401)
    // Again, and then one that is signed by the next secret as well.
    expect([await send(good), await send(signedRequest([present, old], message('three'), now))]).toEqual([204, 204])
    expect(await said.next()).toMatchObject({ value: 'run.completed run of three' })
  },
)
