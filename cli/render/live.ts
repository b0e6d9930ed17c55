import type { Terminal } from '../output.ts'
import { plainLines } from './width.ts'

/** Ten frames a second: more is flicker. */
const FRAME_MILLIS = 100

/** A block of lines that is drawn over itself. Draws what it is given last, at most ten times a second. */
export class Live implements Disposable {
  readonly #terminal: Terminal
  #drawn = 0
  #next: (() => readonly string[]) | undefined
  #timer: NodeJS.Timeout | undefined
  #gone = false

  constructor(terminal: Terminal) {
    this.#terminal = terminal
    terminal.write('\x1b[?25l')
  }

  show(frame: () => readonly string[]): void {
    this.#next = frame
    if (this.#gone) return
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#draw()
    }, FRAME_MILLIS)
  }

  /** A line that stays, above the block. */
  above(line: string): void {
    this.#terminal.write(`${this.#up()}${plainLines(line)}\n`)
    this.#drawn = 0
    this.#draw()
  }

  /** Takes the block away; what comes next is written in its place. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer)
    this.#gone = true
    this.#terminal.write(`${this.#up()}\x1b[?25h`)
    this.#drawn = 0
  }

  #draw(): void {
    const lines = this.#next?.() ?? []
    this.#terminal.write(`${this.#up()}${lines.map((line) => `${line}\n`).join('')}`)
    this.#drawn = lines.length
  }

  /** A terminal that was made narrower has wrapped what was drawn: then a few old lines stay above, and none is lost. */
  #up(): string {
    return this.#drawn > 0 ? `\x1b[${this.#drawn}A\x1b[J` : ''
  }
}
