// Loaded before the suite: it reads the description of the service under test instead of one from a public place, writes its
// reports into a folder of ours, and does not wait a second between requests, which is for services of strangers.
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { fileURLToPath } from 'node:url'
import util from 'node:util'

const { PINNING_SPECIFICATION, PINNING_REPORTS } = process.env

// What its reader of descriptions calls and Node no longer has.
util.isObject ??= (value) => value !== null && typeof value === 'object'
util.isArray ??= Array.isArray
util.isNumber ??= (value) => typeof value === 'number'
util.isFunction ??= (value) => typeof value === 'function'
util.isUndefined ??= (value) => value === undefined

const changes = {
  'utils/constants.js': [
    [/const specLocation = [^;]*;/, `const specLocation = ${JSON.stringify(PINNING_SPECIFICATION)};`],
    [/const docsDir = [^;]*;/, `const docsDir = ${JSON.stringify(PINNING_REPORTS)};`],
  ],
  'utils/getQueue.js': [[/interval: 1000 /, 'interval: 1 ']],
}

registerHooks({
  load(url, context, next) {
    const loaded = next(url, context)
    const changed = Object.entries(changes).find(([file]) =>
      url.endsWith(`/pinning-service-compliance/dist/src/${file}`),
    )
    if (!changed) return loaded
    let source = readFileSync(fileURLToPath(url), 'utf8')
    for (const [what, by] of changed[1]) {
      if (!what.test(source)) throw new Error(`${changed[0]} is not what it was: ${what}`)
      source = source.replace(what, () => by)
    }
    return { ...loaded, source }
  },
})
