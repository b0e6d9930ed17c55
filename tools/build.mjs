// Builds dist/: JavaScript by stripping types (positions stay, so stack traces fit the sources) and declarations by tsc.
// Node does not strip types under node_modules, so the published package cannot run its sources as a clone does.
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const dist = join(root, 'dist')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** For the test of the package: what it is made of is checked by `npm run check`. */
const noCheck = process.argv.includes('--no-check')

const config = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'))

/** Served in a browser, where nothing is imported by a room's name. */
const PAGES = ['lend', 'dashboard']

/** Rooms that are published: every `#room/*.ts` of the package's map but tests and pages, where the folder is there. */
const rooms = Object.keys(manifest.imports)
  .flatMap((name) => /^#(\w+)\/\*\.ts$/.exec(name)?.[1] ?? [])
  .filter((room) => room !== 'test' && !PAGES.includes(room) && existsSync(join(root, room)))

/** `./x.ts` means a source; in dist it is `./x.js`. `#room/x.ts` keeps its name: dist's own map points it to the script. */
const SPECIFIER = /(\bfrom\s*|\bimport\s*\(?\s*|\bnew\s+URL\s*\(\s*|\bregister\s*\(\s*)(['"])(\.{1,2}\/[^'"\n]+)\.ts\2/g
const toScript = (text) => text.replace(SPECIFIER, '$1$2$3.js$2')

/** By tsc, which knows what belongs to the project: the kernels' AssemblyScript, for one, does not. @returns their paths */
function declarations() {
  const project = join(dist, 'tsconfig.json')
  const options = { noEmit: false, declaration: true, emitDeclarationOnly: true, noCheck, rootDir: '..', outDir: '.' }
  const from = { include: rooms, exclude: config.exclude }
  const away = Object.fromEntries(Object.entries(from).map(([key, paths]) => [key, paths.map((path) => `../${path}`)]))
  writeFileSync(project, JSON.stringify({ extends: '../tsconfig.json', compilerOptions: options, ...away }))
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const done = spawnSync(process.execPath, [tsc, '-p', project], { cwd: root, stdio: 'inherit' })
  rmSync(project)
  if (done.status !== 0) process.exit(done.status ?? 1)
  const made = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.d.ts'))
  for (const path of made) writeFileSync(join(dist, path), toScript(readFileSync(join(dist, path), 'utf8')))
  return made
}

/** A script for every declaration. */
function scripts(made) {
  for (const path of made) {
    const source = readFileSync(join(root, path.replace(/\.d\.ts$/, '.ts')), 'utf8')
    writeFileSync(
      join(dist, path.replace(/\.d\.ts$/, '.js')),
      toScript(stripTypeScriptTypes(source, { mode: 'strip' })),
    )
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

/** What the coordinator serves: each page in a folder of its name. */
async function page(name) {
  const { buildPage } = await import(`./${name}.mjs`)
  mkdirSync(join(dist, name))
  for (const [file, gzipped] of await buildPage()) writeFileSync(join(dist, name, `${file}.gz`), gzipped)
}

/** What `consilium create` copies. Each file is a text here, whatever it is: a package holds no TypeScript that would be run. */
function examples() {
  const from = join(root, 'examples')
  for (const { name, parentPath } of readdirSync(from, { recursive: true, withFileTypes: true }).filter((each) =>
    each.isFile(),
  )) {
    if (parentPath === from) continue
    const folder = join(dist, 'examples', relative(from, parentPath))
    mkdirSync(folder, { recursive: true })
    copyFileSync(join(parentPath, name), join(folder, `${name}.txt`))
  }
}

rmSync(dist, { recursive: true, force: true })
mkdirSync(dist)
const made = declarations()
scripts(made)
roomMap()
for (const name of PAGES) await page(name)
examples()
process.stdout.write(`dist/  ${made.length} files of ${rooms.length} rooms (${rooms.join(', ')})\n`)
