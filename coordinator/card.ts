import { totalOf } from '#payments/allocate.ts'
import { formatCredits } from '#protocol/amount.ts'
import { type Architecture, layersOf, type Shape } from '#protocol/architecture.ts'
import type { Cid, NodeId, Round } from '#protocol/ids.ts'
import type { ModelManifest, Origin } from '#protocol/manifest.ts'
import { shown } from '#protocol/metrics.ts'
import { sizeOf } from '#protocol/shapes.ts'
import type { Optimiser, Task } from '#protocol/task.ts'
import type { MetricsRow } from './api/metrics.ts'
import { markdownParagraphs, markdownText, yamlNumber, yamlText } from './escaping.ts'
import { outcomeOf } from './outcome.ts'
import type { Run } from './run.ts'

export type CardFacts = {
  readonly run: Run
  readonly task: Task
  readonly model: ModelManifest
  readonly architecture: Architecture
  readonly shape: Shape
  readonly rows: readonly MetricsRow[]
  readonly rounds: readonly { readonly round: Round; readonly manifest: Cid; readonly model: Cid }[]
  readonly coordinator: NodeId
  readonly ancestry: Ancestry
}

/** What a fork comes from, the nearest first: rounds of other runs, each with the model that it made. */
export type Ancestry = {
  readonly forks: readonly (Origin & { readonly model: Cid })[]
  /** Whether the last of them was forked from nothing; it may be of a run that is not shown. */
  readonly isWhole: boolean
}

/**
 * A model card for the Hugging Face Hub (Mitchell et al. 2019): metadata in YAML, then Markdown. All of it follows from the
 * record, so that the same run has the same card; what came from outside is escaped.
 */
export function cardOf(facts: CardFacts): string {
  const { task } = facts
  const sections = [
    ['Intended use', proseOf(task.card?.intendedUse)],
    ['Limitations', proseOf(task.card?.limitations)],
    ['Model', modelText(facts)],
    ['Training', trainingText(facts)],
    ['Evaluation', evaluationText(facts)],
    ['Privacy', privacyText(facts)],
    ['Lineage', lineageText(facts)],
    ['How to verify', verifyText(facts)],
  ] as const
  return [
    metadataOf(facts),
    `# ${markdownText(task.name)}`,
    introduction(facts),
    ...sections.map(([title, text]) => `## ${title}\n\n${text}`),
  ]
    .join('\n\n')
    .concat('\n')
}

/** Of the last model; null where nobody has tested it. */
function tested({ rows }: CardFacts): MetricsRow | null {
  const last = rows.at(-1)
  return last && typeof last['loss'] === 'number' ? last : null
}

/** Names of what is a figure of merit, in the order of the columns. A model of numbers is right about no row. */
function figureNames({ rows: [first], task }: CardFacts): readonly string[] {
  const isOther = new Set([
    'round',
    'rows',
    'sites',
    'cohort',
    'reports',
    'train_ms',
    'duration_ms',
    'overhead_ms',
    'ended_at',
  ])
  const names = Object.keys(first ?? {}).filter((name) => !isOther.has(name))
  return isOfNumbers(task) ? names.filter((name) => name !== 'accuracy') : names
}

function isOfNumbers({ data }: Task): boolean {
  return data.kind !== 'image' && data.label.rule === 'number'
}

const KINDS = { image: 'image', table: 'tabular', text: 'text', joint: 'tabular' } as const
/** As the Hub calls them, where it has another name. */
const HUB_NAMES: Readonly<Record<string, string>> = { auroc: 'roc_auc', brier: 'brier_score' }

function metadataOf(facts: CardFacts): string {
  const { task, run } = facts
  const { license, language } = task.card ?? {}
  const figures = tested(facts)
  const names = figureNames(facts)
  const values = names.flatMap((name) => (typeof figures?.[name] === 'number' ? [[name, figures[name]] as const] : []))
  const results = values.length > 0 && [
    'model-index:',
    `- name: ${yamlText(task.name)}`,
    '  results:',
    '  - task:',
    `      type: ${KINDS[task.data.kind]}-${isOfNumbers(task) ? 'regression' : 'classification'}`,
    '    dataset:',
    `      name: ${yamlText('held-out rows of the sites')}`,
    '      type: federated',
    '    metrics:',
    ...values.flatMap(([name, value]) => [
      `    - type: ${HUB_NAMES[name] ?? name}`,
      `      value: ${yamlNumber(value)}`,
      `      name: ${yamlText(name)}`,
    ]),
  ]
  return [
    '---',
    ...(license === undefined ? [] : [`license: ${yamlText(license.toLowerCase())}`]),
    ...(language === undefined ? [] : ['language:', `- ${yamlText(language)}`]),
    'library_name: consilium',
    'tags:',
    '- federated-learning',
    ...(run.spec.masking === 'none' ? [] : ['- secure-aggregation']),
    ...(results || []),
    '---',
  ].join('\n')
}

function proseOf(text: string | undefined): string {
  return text === undefined ? 'Its author has said nothing about it.' : markdownParagraphs(text)
}

function introduction({ run, shape }: CardFacts): string {
  const { outcome, reason } = outcomeOf(run)
  const { rounds } = orderedIn(run)
  const so = run.phase === 'ended' ? `It was ${outcome === 'failed' ? 'given up' : outcome}` : 'It goes on'
  const why = run.phase === 'ended' && reason !== null ? `: ${markdownText(reason)}` : ''
  const sizes = `${shape.parameters} parameters, of which ${shape.trained} were trained`
  return `A model of ${sizes}, made by the run \`${run.spec.run}\` at sites whose data stayed with them. ${run.trained} of ${rounds} planned training rounds have closed. ${so}${why}.`
}

/** Order and extensions together. */
function orderedIn({ spec, extensions }: Run) {
  return totalOf({ ...spec, extensions })
}

function modelText({ architecture, task }: CardFacts): string {
  const layers = layersOf(architecture).map(({ layer, shape, tensors }) => [
    ...[markdownText(layer.name), layer.layer, shape.join(' × ')],
    String(tensors.reduce((sum, tensor) => sum + sizeOf(tensor), 0)),
  ])
  const given = isOfNumbers(task)
    ? 'It gives numbers in the scale of the label.'
    : 'It gives logits: no softmax and no sigmoid is in it.'
  return [
    `Takes ${architecture.input.join(' × ')}, one row of the data contract (${task.data.kind}). ${given} Its loss is ${task.loss}.`,
    table(['layer', 'kind', 'gives', 'parameters'], layers),
  ].join('\n\n')
}

const micro = (value: number) => String(value / 1_000_000)

function trainingText(facts: CardFacts): string {
  const { task, run, rows } = facts
  const { cohort } = run.spec
  const settings = [
    ['optimiser', optimiserText(task.optimiser)],
    ['epochs a round', String(task.epochs)],
    ['batch', String(task.batchSize)],
    ['clip of an update', `${micro(task.clipNormMicro)} (L2)`],
    ...(task.gradientNormMicro ? [['clip of a step', `${micro(task.gradientNormMicro)} (L2)`]] : []),
    ...(task.proximalMicro ? [['FedProx μ', micro(task.proximalMicro)]] : []),
    ['strategy', `${task.strategy.kind}, rate ${micro(task.strategy.rateMicro)}`],
    ['cohort', `${cohort.min} to ${cohort.max} sites, quorum ${cohort.quorum}`],
    ['budget', `${formatCredits(orderedIn(run).budget)} credits, ${formatCredits(run.paid)} paid`],
  ]
  const names = figureNames(facts)
  const head = ['round', 'sites', ...names, 'trained, s']
  const body = rows.map((row) => [
    ...[String(row.round), row['reports'] === null ? '' : `${row['reports']} of ${row['cohort']}`],
    ...names.map((name) => figureText(row[name])),
    typeof row['train_ms'] === 'number' ? (row['train_ms'] / 1000).toFixed(1) : '',
  ])
  const what =
    "What each round's model is worth, as the next round's sites tested it before they trained on; round 0 is what training started from."
  return [table(['setting', ''], settings), what, table(head, body)].join('\n\n')
}

function optimiserText({ kind, rateMicro, ...rest }: Optimiser): string {
  const others = Object.entries(rest).flatMap(([name, value]) => {
    if (typeof value !== 'number') return value ? [name] : []
    const scale = name.endsWith('Nano') ? 1e9 : 1e6
    return [`${name.replace(/Micro$|Nano$/, '')} ${value / scale}`]
  })
  return [`${kind}, rate ${micro(rateMicro)}`, ...others].join(', ')
}

function figureText(value: unknown): string {
  return typeof value === 'number' ? value.toFixed(4) : ''
}

function evaluationText(facts: CardFacts): string {
  const figures = tested(facts)
  if (!figures) return 'Nobody has tested the last model: a run ends with a round that does.'
  const { rows, sites } = figures
  const over =
    typeof sites === 'number' ? `${sites} sites, each of which counts alike` : `${rows} held-out rows of all sites`
  const body = figureNames(facts).map((name) => [name, figureText(figures[name])])
  return [
    `Over ${over}. A fifth of each site's rows, drawn before training, is never trained on.`,
    table(['figure', 'value'], body),
    ...labelsText(facts),
  ].join('\n\n')
}

/** Of a model of several labels, what it is worth for each of them. */
function labelsText({ run, task: { data } }: CardFacts): readonly string[] {
  const figures = run.evaluation?.figures?.map(shown) ?? []
  if (data.kind === 'image' || data.label.rule !== 'multi-label' || figures.length === 0) return []
  const rows = data.label.labels.map(({ column }, of) => [
    markdownText(column),
    ...figures.map(({ by_label: each }) => figureText(each?.[of]?.value)),
  ])
  const what =
    'Accuracy counts the rows of which every known label is right; each other figure is the mean over the labels, which have:'
  return [what, table(['label', ...figures.map(({ name }) => name)], rows)]
}

function privacyText({ run }: CardFacts): string {
  const masks =
    run.spec.masking === 'none'
      ? "Nothing was masked: each site's update of each round is in the record, for anybody to read."
      : "Secure aggregation (secagg/1): the coordinator learned sums over sites, and no site's own update."
  return `${masks} Differential privacy: none. No ε bounds what the model tells of a row that it was trained on.`
}

function lineageText({ run, task, model, rounds, coordinator, ancestry }: CardFacts): string {
  const { spec, manifest } = run
  const start = task.start === 'given' ? 'which its author brought' : "which anybody makes from the task's seed"
  const { origin } = spec
  const things = [
    ['model', run.model],
    ['weights', model.weights],
    ['architecture', model.architecture],
    ['task', spec.task],
    ['starts from', `${code(spec.genesis)}, ${origin ? `which ${placeOf(origin)} made` : start}`],
    ['record', manifest ?? 'not sealed: the run goes on'],
    ['coordinator', coordinator],
  ].map(([name, value]) => [
    name as string,
    (value as string).includes(' ') ? (value as string) : code(value as string),
  ])
  const made = rounds.map(({ round, manifest, model }) => [String(round), code(manifest), code(model)])
  const chain =
    "Each round's manifest is signed by the coordinator and names the one before it, the updates in it, and the model that it made; one that only tests keeps the model."
  return [
    table(['what', 'CID or key'], things),
    ...ancestryText(ancestry),
    ...[chain, table(['round', 'manifest', 'model'], made)],
  ].join('\n\n')
}

function ancestryText({ forks, isWhole }: Ancestry): readonly string[] {
  if (forks.length === 0) return []
  const end = isWhole
    ? 'The last of them was forked from nothing.'
    : 'What the last of them was forked from is not told here.'
  const rows = forks.map((fork) => [placeOf(fork), code(fork.manifest), code(fork.model)])
  return [
    `It is a fork: it was trained on from the model of a round of another run, the nearest first. ${end}`,
    table(['round', 'manifest', 'model'], rows),
  ]
}

/** As the command line takes it, too: `consilium model pull run_…:3`. */
function placeOf({ run, round }: Pick<Origin, 'run' | 'round'>): string {
  return code(`${run}:${round}`)
}

function verifyText({ run, coordinator }: CardFacts): string {
  const { spec, manifest } = run
  if (!manifest) return 'Its record is sealed when the run ends; until then each round can be verified by itself.'
  return [
    "From the run's bundle alone, without whoever made it:",
    [
      '```sh',
      `consilium bundles export ${spec.run} --from $COORDINATOR --out run.car`,
      `consilium verify run.car --coordinator ${coordinator} --expect ${manifest}`,
      '```',
    ].join('\n'),
    "It redoes every hash, signature, sum, model, figure and payment. What it cannot know is whether a site's data are what it says.",
  ].join('\n\n')
}

function code(text: string): string {
  return `\`${text}\``
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}
