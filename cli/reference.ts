import { COMMON } from './arguments.ts'
import type { Command, Option } from './command.ts'
import { COMMANDS } from './commands.ts'
import { EXIT_CODES, flagOf, schemaFile } from './help.ts'

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
    '`--json=id,data.round` writes these fields alone, where they are, and null where there is none; a list keeps its place.',
    'A field that the schema does not know is exit 2 before anything is done. What else is wanted of it `jq` does:',
    "`consilium runs ls --json | jq -r '.data[].id'`. The JSON Schemas that are linked below come with the package; an error",
    'is one line on stderr, as [problem.json](schemas/cli/problem.json) has it.',
    '',
    'There is no `coordinator status`, `backup`, `restore` or `migrate`, and no `model push`: `consilium doctor` and',
    '`/readyz` say how a coordinator is, its folder is copied and put back by the steps of',
    '[operating.md](operating.md#backup), which has [what an upgrade takes](operating.md#stop-start-upgrade) as well, and a',
    'model goes in with the run that starts from it: `consilium run --model --weights`.',
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

function section({ name, summary, positional, options, examples, prints }: Command): readonly string[] {
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
    ...(prints === 'as-it-comes'
      ? []
      : ['', `With \`--json\`: [${schemaFile(name)}](schemas/cli/${schemaFile(name)}).`]),
  ]
}

function optionRows(options: readonly Option[]): readonly string[] {
  return [
    '| option | meaning | variable | default |',
    '|---|---|---|---|',
    ...options.map((option) => {
      const { summary, env, default: standard } = option
      const cells = [
        `\`${flagOf(option)}\``,
        summary,
        env ? `\`${env}\`` : '',
        standard === undefined ? '' : `\`${standard}\``,
      ]
      return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
    }),
  ]
}
