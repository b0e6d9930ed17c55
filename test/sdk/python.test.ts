import { execFile, spawnSync } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from '@jest/globals'
import type { ModelFormat } from '#protocol/formats/model-file.ts'
import { temporaryFolder } from '#test/folder.ts'
import { answerOf, DENSE, fileOf, forger, kept, lies, lyingAt, RUN, signer } from './kept-model.ts'

const run = promisify(execFile)
const isThere = spawnSync('python3', ['--version']).status === 0
if (!isThere) process.stderr.write('skipped: models by the Python client (no python3 on the PATH)\n')

/** Takes the model of each coordinator that it is told of, and says which of them it did not believe. */
const SCRIPT = `
import json, os, sys
import consilium

told = json.load(sys.stdin)
def client(path, key):
    return consilium.Consilium(told["url"] + path, "a key", retries=0, coordinator_key=key)

honest = client("", told["key"])
for ending in ("npz", "safetensors", "f32", "tfjs.zip"):
    honest.save_model(told["run"], "model." + ending)
shapes = [[name, list(shape)] for name, shape, _ in honest.model(told["run"])[1]]
def is_refused(path, key, ending):
    try:
        client(path, key).save_model(told["run"], "lie." + ending)
        return False
    except consilium.VerificationError:
        return True
refused = [is_refused(path, told["key"], ("npz", "safetensors", "f32")[at % 3]) for at, path in enumerate(told["lies"])]
built = [is_refused(path, told["key"], "tfjs.zip") for path in told["built"]]
forged = [is_refused("/lie/a/forgery", key, "npz") for key in (told["key"], None)] + [is_refused("", told["other"], "npz")]
json.dump({"shapes": shapes, "refused": refused, "built": built, "forged": forged}, sys.stdout)
`

const may = isThere ? test : test.skip
may(
  'the Python client writes what the coordinator would, to the byte, and nothing where one byte that came is another',
  async () => {
    const given = kept(DENSE)
    const kinds = new Map([
      [undefined, given],
      ['a/forgery', kept(DENSE, { by: forger })],
    ])
    const server = createServer(async (request, response) => {
      const [, lie, path = ''] = /^(?:\/lie\/(\w+\/\w+))?(\/[^?]*)/.exec(request.url ?? '') ?? []
      const [cid = '', at] = lie?.split('/') ?? []
      const told = answerOf(kinds.get(lie) ?? lyingAt(given, { cid, at: Number(at) }), path)
      response.writeHead(told?.status ?? 404, Object.fromEntries(told?.headers ?? []))
      response.end(told && Buffer.from(await told.arrayBuffer()))
    })
    await new Promise<void>((settle) => server.listen(0, '127.0.0.1', settle))
    await using folder = await temporaryFolder()
    try {
      // One format has the architecture, and it is not read for the others.
      const { built = [], all = [] } = Object.groupBy(lies(given), ({ cid }) =>
        cid === given.model.manifest.architecture ? 'built' : 'all',
      )
      const pathsOf = (each: typeof all) => each.map(({ cid, at }) => `/lie/${cid}/${at}`)
      const told = {
        ...{ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, run: RUN, lies: pathsOf(all) },
        built: pathsOf(built),
        ...{ key: signer.id, other: signer.id.replace(/.$/, (letter) => (letter === 'a' ? 'b' : 'a')) },
      }
      await writeFile(join(folder.path, 'script.py'), SCRIPT)
      const env = {
        PATH: process.env['PATH'],
        PYTHONDONTWRITEBYTECODE: '1',
        PYTHONPATH: join(process.cwd(), 'sdk/python'),
      }
      const made = run('python3', ['script.py'], { cwd: folder.path, env })
      made.child.stdin?.end(JSON.stringify(told))
      const { shapes, refused, built: unbuilt, forged } = JSON.parse((await made).stdout)
      expect(shapes).toEqual(given.model.manifest.tensors.map(({ name, shape }) => [name, shape]))
      expect(refused).toEqual(all.map(() => true))
      expect(built.length).toBeGreaterThan(10)
      expect(unbuilt).toEqual(built.map(() => true))
      expect(forged).toEqual([true, true, true])
      const files = ['model.f32', 'model.npz', 'model.safetensors', 'model.tfjs.zip', 'script.py']
      expect((await readdir(folder.path)).sort()).toEqual(files)
      const formats: readonly (readonly [string, ModelFormat])[] = [
        ['f32', 'raw'],
        ['npz', 'npz'],
        ['safetensors', 'safetensors'],
        ['tfjs.zip', 'tfjs'],
      ]
      for (const [ending, format] of formats) {
        const file = await readFile(join(folder.path, `model.${ending}`))
        expect(file.equals(Buffer.from(await fileOf(given, format)))).toBe(true)
      }
    } finally {
      server.closeAllConnections()
      server.close()
    }
  },
  60_000,
)
