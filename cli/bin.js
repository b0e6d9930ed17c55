#!/usr/bin/env node
// The command's entry, in plain JavaScript: an older Node must reach the sentence that says how to fix it.
import { existsSync } from 'node:fs'
// The whole module, not its names: an older Node lacks some, and would stop here before it reached the sentence.
import module from 'node:module'
import { fileURLToPath } from 'node:url'

const major = Number(process.versions.node.split('.')[0])
if (major < 24) {
  const pinned = fileURLToPath(new URL('../node_modules/.bin/node', import.meta.url))
  process.stderr.write(
    `error  consilium runs on Node 24 or later; this is ${process.versions.node} (${process.execPath})\n` +
      `  fix  install Node 24; in a clone, after npm run demo: ${pinned} ${fileURLToPath(import.meta.url)} …\n`,
  )
  process.exit(1)
}

// Stripping types and compiling take most of the time until the first line: Node keeps what it made for the next start.
module.enableCompileCache?.()

// A clone runs its sources as they are; Node strips no types under node_modules, so a package runs what it was built to.
const source = new URL('./main.ts', import.meta.url)
const { main } = await import(existsSync(source) ? source.href : new URL('../dist/cli/main.js', import.meta.url).href)
process.exitCode = await main(process.argv.slice(2))
