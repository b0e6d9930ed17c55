// Builds TensorFlow's own library for the backends `node` and `cuda`: node tools/tfjs-node.mjs <folder> [cpu|gpu]
//
// The install script of @tensorflow/tfjs-node fetches TensorFlow 2.9 from a host that many networks do not reach. The same
// library is in the wheel that TensorFlow publishes for Python, newer, and on every mirror of PyPI: this takes it out of
// there, and compiles the package's addon against it. Needs npm, python3 with pip, and g++; Linux only.
// Plain JavaScript for Node 20 or later, no dependency.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const TFJS_NODE = '4.22.0'
const TENSORFLOW = '2.21.0'
const NODE_API_HEADERS = '1.9.0'
const MACHINES = { x64: 'x86_64', arm64: 'aarch64' }

/** A wheel is a zip, which Node does not read. */
const UNPACK = `
import os, shutil, sys, zipfile
wheel, deps = sys.argv[1:]
headers = ('tensorflow/c/', 'tensorflow/core/platform/ctstring', 'tsl/platform/ctstring', 'xla/tsl/c/')
libraries = ('tensorflow/libtensorflow_cc.so.2', 'tensorflow/libtensorflow_framework.so.2')
with zipfile.ZipFile(wheel) as files:
  for name in files.namelist():
    inside = name.removeprefix('tensorflow/')
    if name in libraries: path = os.path.join(deps, 'lib', inside)
    elif name.endswith('.h') and inside.removeprefix('include/').startswith(headers): path = os.path.join(deps, inside)
    else: continue
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with files.open(name) as source, open(path, 'wb') as target: shutil.copyfileobj(source, target, 1 << 20)
`

/** With what Node 24 has no more, and its first operation calls. */
const TRY = `
require('node:util').isNullOrUndefined ??= (value) => value == null
const { tensor, matMul, backend } = require(process.argv[1])
const found = [...matMul(tensor([[1, 2], [3, 4]]), tensor([[1, 2], [3, 4]])).dataSync()].join()
if (found !== '7,10,15,22') throw new Error('it multiplies to ' + found)
console.error('TensorFlow ' + backend().binding.TF_Version + (backend().isUsingGpuDevice ? ', on a GPU' : ', on the processor'))
`

const [where, kind = 'cpu'] = process.argv.slice(2)
if (!where || !['cpu', 'gpu'].includes(kind)) fail('usage: node tools/tfjs-node.mjs <folder> [cpu|gpu]')
const machine = MACHINES[process.arch]
if (process.platform !== 'linux' || !machine) fail(`there is no recipe for ${process.platform} on ${process.arch}`)

const folder = resolve(where)
const name = kind === 'gpu' ? '@tensorflow/tfjs-node-gpu' : '@tensorflow/tfjs-node'
const addon = join(folder, 'node_modules', name)
mkdirSync(folder, { recursive: true })
if (!existsSync(join(folder, 'package.json'))) writeFileSync(join(folder, 'package.json'), '{"private":true}\n')

say(`${name} ${TFJS_NODE}, without its library`)
run('npm', [
  ...['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', folder],
  ...[`${name}@${TFJS_NODE}`, `node-api-headers@${NODE_API_HEADERS}`],
])

const wheels = join(folder, 'wheel')
const wheel = process.env.TENSORFLOW_WHEEL ?? downloadWheel()
say('the library and its headers, out of the wheel')
run('python3', ['-c', UNPACK, wheel, join(addon, 'deps')])
rmSync(wheels, { recursive: true, force: true })

say('compiling the addon')
mkdirSync(join(addon, 'lib', 'napi-v8'), { recursive: true })
run('g++', [
  ...['-shared', '-fPIC', '-O2', '-std=c++17', '-DNAPI_VERSION=8'],
  ...['-I', join(folder, 'node_modules', 'node-api-headers', 'include'), '-I', join(addon, 'deps', 'include')],
  ...['tfjs_backend.cc', 'tfjs_binding.cc'].map((file) => join(addon, 'binding', file)),
  ...['-o', join(addon, 'lib', 'napi-v8', 'tfjs_binding.node'), '-L', join(addon, 'deps', 'lib')],
  ...['-Wl,-rpath,$ORIGIN/../../deps/lib', '-l:libtensorflow_cc.so.2', '-l:libtensorflow_framework.so.2'],
])

say('a product of two matrices')
run(process.execPath, ['-e', TRY, addon])
process.stdout.write(`TFJS_NODE=${folder}\n`)

/** @returns the file */
function downloadWheel() {
  say(`TensorFlow ${TENSORFLOW}, as Python has it`)
  rmSync(wheels, { recursive: true, force: true })
  const python = ['--python-version', '3.12', '--implementation', 'cp', '--platform', `manylinux_2_27_${machine}`]
  const wanted = `${kind === 'gpu' ? 'tensorflow' : 'tensorflow-cpu'}==${TENSORFLOW}`
  run('python3', [
    ...['-m', 'pip', 'download', '--quiet', '--disable-pip-version-check', '--no-deps', '--only-binary=:all:'],
    ...[...python, '--dest', wheels, wanted],
  ])
  return join(wheels, readdirSync(wheels)[0])
}

function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: ['ignore', 2, 2] })
  if (error || status !== 0) fail(`${command} ${error ? `cannot be run: ${error.message}` : `ended with ${status}`}`)
}

function say(what) {
  process.stderr.write(`tfjs-node: ${what} …\n`)
}

function fail(why) {
  process.stderr.write(`tfjs-node: ${why}\n`)
  process.exit(1)
}
