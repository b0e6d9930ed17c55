import { COMMON } from './arguments.ts'
import type { Command, Option } from './command.ts'
import { COMMANDS } from './commands.ts'
import { EXIT_CODES } from './help.ts'

/** docs/cli.md: every command as the table has it. */
export function reference(): string {
  return [
    '# Commands',
    '',
    'Written from the table that the commands are read by: `npm run cli-docs` writes it again, and a test holds the two',
    'equal. `consilium help <command>` says the same on a terminal.',
    '',
    'Every command also takes:',
    '',
    ...optionRows(COMMON),
    '',
    '## Exit codes',
    '',
    '```',
    EXIT_CODES,
    '```',
    ...COMMANDS.flatMap(section),
    '',
  ].join('\n')
}

function section({ name, summary, positional, options, examples }: Command): readonly string[] {
  const shown = options.filter(({ hidden }) => !hidden)
  return [
    '',
    `## consilium ${name}`,
    '',
    `${summary[0]?.toUpperCase()}${summary.slice(1)}.`,
    '',
    '```',
    `consilium ${name}${positional ? ` ${positional.name}` : ''} [options]`,
    ...examples.map((example) => `$ ${example}`),
    '```',
    ...(shown.length > 0 ? ['', ...optionRows(shown)] : []),
  ]
}

function optionRows(options: readonly Option[]): readonly string[] {
  return [
    '| option | meaning | variable | default |',
    '|---|---|---|---|',
    ...options.map(({ name, short, value, summary, env, default: standard }) => {
      const flag = `${short ? `-${short}, ` : ''}--${name}${value ? ` ${value}` : ''}`
      const cells = [`\`${flag}\``, summary, env ? `\`${env}\`` : '', standard === undefined ? '' : `\`${standard}\``]
      return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
    }),
  ]
}
