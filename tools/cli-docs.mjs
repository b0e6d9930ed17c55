// Writes docs/cli.md from the table of commands.
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { reference } from '../cli/reference.ts'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
await writeFile(join(root, 'docs/cli.md'), reference())
