import { existsSync, realpathSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { basename, delimiter, join, resolve } from 'node:path'
import { usage } from './arguments.ts'
import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { packageOf } from './package.ts'

const TEMPLATES = ['digits', 'tabular', 'text'] as const

/** The worked examples, which are what is copied: in a clone as they are, in a package each name with {@link CARRIED} after it. */
const EXAMPLES = join(import.meta.dirname, '../examples')
/** Node runs no TypeScript that lies in a package, and a package carries none: these are texts until they are copied. */
const CARRIED = /\.txt$/

/** `consilium create <folder>` */
export async function execute({ args, output }: Call): Promise<number> {
  const name = args.positionals[0] as string
  const template = args.oneOf('template', TEMPLATES)
  const folder = resolve(name)
  const from = join(EXAMPLES, template)
  const names = (await readdir(from)).filter((each) => each !== 'data')
  const files = await Promise.all(
    names.map(async (each) => [each.replace(CARRIED, ''), await readFile(join(from, each), 'utf8')] as const),
  )
  await mkdir(folder, { recursive: true })
  if ((await readdir(folder)).length > 0)
    throw usage('folder_not_empty', `${name} is not empty`, 'name a folder that is new or empty')
  for (const [file, text] of files)
    await writeFile(join(folder, file), file === 'package.json' ? named(text, basename(folder)) : text, { flag: 'wx' })
  const made = files.map(([file]) => file).sort()
  if (output.json) output.object({ folder, template, files: made })
  else {
    output.line(`${folder}  ${made.join(' ')}`)
    output.note(
      `next: cd ${name}${made.includes('data.ts') ? ` && ${nodeHere(args)} data.ts, which makes the data` : ''}; README.md has the commands`,
    )
  }
  return EXIT.ok
}

/**
 * The Node.js that runs this: by its name where that is the one that a shell would take, since an older one runs no
 * TypeScript. What npm puts before a shell's own folders, and takes away again, is none of them.
 */
function nodeHere({ environment }: Call['args']): string {
  const [first] = shellFolders(environment).flatMap((folder) => {
    const path = join(folder, 'node')
    return existsSync(path) ? [realpathSync(path)] : []
  })
  return first === realpathSync(process.execPath) ? 'node' : process.execPath
}

function shellFolders({ PATH = '' }: Call['args']['environment']): readonly string[] {
  return PATH.split(delimiter).filter((folder) => !folder.endsWith(join('node_modules', '.bin')))
}

/** As npm takes a name; and the version that made it. */
function named(manifest: string, folder: string): string {
  const name =
    folder
      .toLowerCase()
      .replace(/[^a-z0-9._-]+/g, '-')
      .replace(/^[._-]+/, '') || 'study'
  const made = { ...JSON.parse(manifest), name, devDependencies: { consilium: packageOf().version } }
  return `${JSON.stringify(made, null, 2)}\n`
}
