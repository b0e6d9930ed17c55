// Builds dist/: JavaScript by stripping types (positions stay, so stack traces fit the sources) and declarations by tsc.
// Node does not strip types under node_modules, so the published package cannot run its sources as a clone does.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const dist = join(root, 'dist')
/** AssemblyScript: another language in .ts files, compiled into the binaries beside them. */
const { exclude: excluded } = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** Rooms that are published: every `#room/*.ts` of the package's map but the tests, where the folder is there. */
const rooms = Object.keys(manifest.imports)
  .flatMap((name) => /^#(\w+)\/\*\.ts$/.exec(name)?.[1] ?? [])
  .filter((room) => room !== 'test' && sources(room).length > 0)

function sources(room) {
  const here = join(root, room)
  try {
    return readdirSync(here, { recursive: true, encoding: 'utf8' })
      .map((path) => join(here, path))
      .filter((path) => path.endsWith('.ts') && !excluded.some((away) => path.startsWith(join(root, away) + sep)))
  } catch (cause) {
    if (cause.code === 'ENOENT') return []
    throw cause
  }
}

/** `./x.ts` means a source; in dist it is `./x.js`. `#room/x.ts` keeps its name: dist's own map points it to the script. */
const SPECIFIER = /(\bfrom\s*|\bimport\s*\(?\s*|\bnew\s+URL\s*\(\s*|\bregister\s*\(\s*)(['"])(\.{1,2}\/[^'"\n]+)\.ts\2/g
const toScript = (text) => text.replace(SPECIFIER, '$1$2$3.js$2')

function scripts() {
  let count = 0
  for (const source of rooms.flatMap(sources)) {
    const target = join(dist, relative(root, source)).replace(/\.ts$/, '.js')
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, toScript(stripTypeScriptTypes(readFileSync(source, 'utf8'), { mode: 'strip' })))
    count += 1
  }
  return count
}

function declarations() {
  const config = join(dist, 'tsconfig.json')
  const options = { noEmit: false, declaration: true, emitDeclarationOnly: true, rootDir: '..', outDir: '.' }
  writeFileSync(
    config,
    JSON.stringify({
      extends: '../tsconfig.json',
      compilerOptions: options,
      include: rooms.map((room) => `../${room}`),
      exclude: excluded.map((path) => `../${path}`),
    }),
  )
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const done = spawnSync(process.execPath, [tsc, '-p', config], { cwd: root, stdio: 'inherit' })
  rmSync(config)
  if (done.status !== 0) process.exit(done.status ?? 1)
  for (const path of readdirSync(dist, { recursive: true, encoding: 'utf8' }))
    if (path.endsWith('.d.ts')) {
      const file = join(dist, path)
      writeFileSync(file, toScript(readFileSync(file, 'utf8')))
    }
}

/** The nearest package.json wins: dist brings the #room map that fits it, so the sources' map does not apply there. */
function roomMap() {
  const imports = {
    '#crypto': Object.fromEntries(
      Object.entries(manifest.imports['#crypto']).map(([condition, path]) => [condition, path.replace(/\.ts$/, '.js')]),
    ),
    ...Object.fromEntries(rooms.map((room) => [`#${room}/*.ts`, `./${room}/*.js`])),
  }
  writeFileSync(join(dist, 'package.json'), `${JSON.stringify({ type: 'module', imports }, null, 2)}\n`)
}

rmSync(dist, { recursive: true, force: true })
mkdirSync(dist)
const count = scripts()
declarations()
roomMap()
process.stdout.write(`dist/  ${count} files of ${rooms.length} rooms (${rooms.join(', ')})\n`)
