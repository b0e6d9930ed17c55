import { styleText } from 'node:util'
import { plainLines } from './render/width.ts'

/** Where a command writes: data to stdout, progress and diagnosis to stderr. */
export type Output = {
  readonly out: Terminal
  readonly err: Terminal
  /** Programs read stdout: one object, or one a line. */
  readonly json: boolean
  readonly quiet: boolean
  /** More is said of each thing. */
  readonly verbose: boolean
  /** A line of data. */
  line(text: string): void
  /** An object of data, with --json. */
  object(value: object): void
  /** A line for whoever waits; none when quiet or with --json. */
  note(text: string): void
}

export type Terminal = {
  write(text: string): void
  columns(): number
  rows(): number
  /** Lines may be drawn over. */
  readonly live: boolean
  readonly unicode: boolean
  paint(colour: Colour, text: string): string
}
/** Whether to colour: as the stream and the environment say, or in spite of them. */
export const COLOURS = ['auto', 'always', 'never'] as const
export type Manner = {
  readonly json: boolean
  readonly quiet: boolean
  readonly verbose?: boolean
  readonly colour?: (typeof COLOURS)[number] | undefined
}

export type Colour = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'

type Stream = {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}
type Environment = Readonly<Record<string, string | undefined>>

export function outputTo(
  streams: { readonly out: Stream; readonly err: Stream },
  environment: Environment,
  { json, quiet, verbose = false, colour = 'auto' }: Manner,
): Output {
  const [out, err] = [terminalOf(streams.out, environment, colour), terminalOf(streams.err, environment, colour)]
  return {
    ...{ out, err, json, quiet, verbose },
    // Names and reasons are other people's: a terminal would obey what is in them.
    line: (text) => out.write(`${plainLines(text)}\n`),
    object: (value) => out.write(`${jsonLine(value)}\n`),
    note: (text) => {
      if (!json && !quiet) err.write(`${plainLines(text)}\n`)
    },
  }
}

/**
 * What may be done to a stream: NO_COLOR, FORCE_COLOR, TERM=dumb and CI are honoured, FORCE_COLOR over the others, and what
 * was typed over all of them.
 */
export function terminalOf(
  stream: Stream,
  environment: Environment,
  typed: NonNullable<Manner['colour']> = 'auto',
): Terminal {
  const { NO_COLOR, FORCE_COLOR, TERM, CI } = environment
  const live = stream.isTTY === true && TERM !== 'dumb' && !isSet(CI)
  const said = FORCE_COLOR === undefined ? live && !isSet(NO_COLOR) : FORCE_COLOR !== '0' && FORCE_COLOR !== 'false'
  const colour = typed === 'auto' ? said : typed === 'always'
  const locale = environment['LC_ALL'] || environment['LC_CTYPE'] || environment['LANG'] || ''
  return {
    write: (text) => void stream.write(text),
    columns: () => Math.max(40, stream.columns ?? 80),
    rows: () => Math.max(8, stream.rows ?? 24),
    live,
    unicode: /utf-?8/i.test(locale) || isSet(environment['WT_SESSION']) || environment['TERM_PROGRAM'] === 'vscode',
    paint: (style, text) => (colour ? styleText(style, text, { validateStream: false }) : text),
  }
}

/** JSON says everything below a space by its number, and not what some terminals obey beyond ASCII. */
export function jsonLine(value: object): string {
  return JSON.stringify(value).replace(/[\u007f-\u009f]/g, (mark) => `\\u00${mark.charCodeAt(0).toString(16)}`)
}

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== '' && value !== 'false' && value !== '0'
}
