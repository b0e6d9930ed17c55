// How Jest loads a suite: by Node itself, as everything else that runs here, so that the suites of one worker share modules
// that are loaded, and compiled, once. Jest's own way, a realm and new modules for each suite, doubles the time of them all.
// A suite whose first comment names an environment (`@jest-environment node`) is loaded in that way.
const { readFileSync } = require('node:fs')
const { registerHooks } = require('node:module')
const { pathToFileURL } = require('node:url')
const { default: Runtime } = require('jest-runtime')

const GLOBALS = 'consilium:jest-globals'
const NAMES = ['afterAll', 'afterEach', 'beforeAll', 'beforeEach', 'describe', 'expect', 'jest', 'test']

/** What Jest gave the suite that runs now. A module that several suites share holds on to these names, not to one suite's. */
let current
const following = NAMES.map((name) => [
  name,
  new Proxy(() => undefined, {
    apply: (_, self, args) => Reflect.apply(current[name], self, args),
    get: (_, key) => Reflect.get(current[name], key),
  }),
])
globalThis[Symbol.for(GLOBALS)] = Object.fromEntries(following)

registerHooks({
  resolve: (specifier, context, next) =>
    specifier === '@jest/globals' ? { url: GLOBALS, shortCircuit: true } : next(specifier, context),
  load: (url, context, next) =>
    url === GLOBALS
      ? {
          format: 'module',
          shortCircuit: true,
          source: `export const { ${NAMES.join(', ')} } = globalThis[Symbol.for('${GLOBALS}')]`,
        }
      : next(url, context),
})

const KINDS = new Set([String, Number, Boolean, BigInt, Symbol, Function, Object, Array])
let suites = 0

module.exports = class extends Runtime {
  #environment
  #alone

  constructor(config, environment, resolver, transformer, sources, coverage, path, ...rest) {
    super(config, environment, resolver, transformer, sources, coverage, path, ...rest)
    this.#environment = environment
    this.#alone = /^\/\*\*(?:(?!\*\/).)*@jest-environment/s.test(readFileSync(path, 'utf8'))
  }

  setGlobalsForRuntime(globals) {
    super.setGlobalsForRuntime(globals)
    const { global, moduleMocker } = this.#environment
    // `any(String)` knows the String of Jest's realm, and asks of anything else what it is an instance of.
    const any = (sample) => globals.expect.any(KINDS.has(sample) ? global[sample.name] : sample)
    const expect = Object.assign((...args) => globals.expect(...args), globals.expect, { any })
    current = { ...globals, expect, jest: moduleMocker }
  }

  async unstable_importModule(path, name) {
    if (this.#alone) return super.unstable_importModule(path, name)
    return import(`${pathToFileURL(path).href}?suite=${++suites}`)
  }
}
