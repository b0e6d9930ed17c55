// Writes docs/schemas/cli from the table of commands and the shapes that it names.
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { schemaFiles } from '../cli/shapes.ts'

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), 'docs/schemas/cli')
await rm(folder, { recursive: true, force: true })
await mkdir(folder, { recursive: true })
for (const [name, text] of schemaFiles()) await writeFile(join(folder, name), text)
