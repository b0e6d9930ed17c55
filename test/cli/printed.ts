import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { commandIn } from '#cli/commands.ts'
import { schemaFile } from '#cli/help.ts'

const SCHEMAS = join(import.meta.dirname, '../../docs/schemas/cli')
// Formats are said beside patterns, which are what is checked.
const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true, validateFormats: false })
const compiled = new Map<string, ValidateFunction>()

function validatorOf(file: string): ValidateFunction {
  const known = compiled.get(file) ?? ajv.compile(JSON.parse(readFileSync(join(SCHEMAS, file), 'utf8')))
  compiled.set(file, known)
  return known
}

/** Throws unless everything that a command wrote with --json is as its published schema says. */
export function checkPrinted(
  args: readonly string[],
  { stdout, stderr = '' }: { readonly stdout: string; readonly stderr?: string },
): void {
  // What only some fields are of is no whole.
  if (!args.includes('--json')) return
  const command = commandIn(args)?.command
  if (command && command.prints !== 'as-it-comes')
    for (const line of linesOf(stdout)) check(args, schemaFile(command.name), line)
  for (const line of linesOf(stderr)) if (line.startsWith('{')) check(args, 'problem.json', line)
}

function linesOf(text: string): readonly string[] {
  return text.split('\n').filter((line) => line !== '')
}

function check(args: readonly string[], file: string, line: string): void {
  const validate = validatorOf(file)
  if (validate(JSON.parse(line))) return
  const wrong = ajv.errorsText(validate.errors, { separator: '\n  ' })
  throw new Error(`consilium ${args.join(' ')} wrote what ${file} does not allow:\n  ${wrong}\n${line}`)
}
