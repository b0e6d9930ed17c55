import { formatCredits } from '#protocol/amount.ts'
import type { Capability } from '#protocol/capability.ts'
import type { Cid } from '#protocol/ids.ts'
import type { ReferenceModel } from '#protocol/reference-models.ts'
import { WORK } from '#protocol/work.ts'
import type { Earned, RunningPageNode } from '../browser.ts'
import type { Progress } from '../progress.ts'
import type { OpenBackend } from '../trainers/backends/choice.ts'
import { element, show } from './element.ts'

/** What the node does, for a person to see, and in the tab's title for one who looks elsewhere. */
export class Board {
  #tasks = 0
  #work: string = WORK.train
  #samplesPerSecond: number | undefined
  #total = 0n
  #state = ''
  /** Why the round that was last told of came to nothing here: its end comes right after, and would hide it. */
  #trouble = ''
  readonly #shown = new Set<Cid>()

  open({ id, backend, earned }: RunningPageNode): void {
    show('node', id)
    this.backend(backend)
    for (const receipt of earned) this.#pay(receipt)
    this.state('linking to the coordinator')
  }

  backend({ name, adapter, passedOver }: OpenBackend): void {
    const others = passedOver.map(({ backend: other, reason }) => `${other}: ${reason}`)
    show('used', `${name} (${adapter})`)
    show('passed-over', others.join('. ') || 'nothing')
  }

  /** What this browser tells the coordinator of itself. */
  measured({ backend, speeds }: Capability): void {
    const each = speeds.map(
      ({ model, milliSamplesPerSecond }) => `${rounded(milliSamplesPerSecond / 1000)} on ${MODELS[model]}`,
    )
    show(
      'measured',
      `${backend}: ${each.length > 0 ? `${each.join(', ')}, in samples a second` : 'trains none of them'}`,
    )
  }

  close(state: string): void {
    this.#samplesPerSecond = undefined
    show('speed', 'not measured yet')
    this.state(state)
  }

  state(text: string): void {
    this.#state = text.split(':')[0] as string
    show('state', text)
    this.#title()
  }

  speed(samplesPerSecond: number): void {
    this.#samplesPerSecond = samplesPerSecond
    show('speed', rounded(samplesPerSecond))
    this.#title()
  }

  link(state: 'linked' | 'lost' | 'refused' | 'unreachable', detail: string): void {
    if (state === 'linked') return this.state('waiting for a round')
    const words = {
      lost: 'the link is lost, and tried again',
      refused: 'the coordinator turned this browser away, and is asked again',
      unreachable: 'the coordinator cannot be reached, and is asked again',
    } as const
    this.state(`${words[state]} (${detail})`)
  }

  tell(made: Progress): void {
    show('run', made.run)
    show('round', String(made.round))
    switch (made.kind) {
      case 'joined':
        this.#trouble = ''
        return this.state('asked to take part, and joined')
      case 'seated':
        this.#work = WORK[made.purpose]
        show('epoch', 'begins')
        return this.state(this.#work)
      case 'training':
        show('epoch', `${made.epoch} of ${made.epochs}`)
        return show('loss', made.loss.toFixed(4))
      case 'agreed':
        return this.state(`${this.#work}: masks are agreed with ${made.members - 1} others`)
      case 'recomputed':
        return this.state(`${this.#work}: round ${made.past} was recomputed, and its model is the right one`)
      case 'masked':
        return this.state('the masked change is on its way')
      case 'reported':
        return this.state('the change was sent, and waits for the others')
      case 'confirmed':
        return this.state(`a sum of ${made.survivors} is confirmed, and no other`)
      case 'unmasked':
        return this.state('the masks of that sum are given, and nothing of the round is held any more')
      case 'declined':
        return this.#fail(`not for this browser: ${made.reason}`)
      case 'left':
        return this.#fail(`its seat is given up: ${made.reason}`)
      case 'refused':
        // Or it was on its way when the round ended.
        this.#trouble ||= made.reason
        return
      case 'failed':
        return this.#fail(`this round went wrong: ${made.reason}`)
      case 'ended': {
        show('epoch', 'none')
        const trouble = this.#trouble && ` (${this.#trouble})`
        return this.state(`the round is over (${made.outcome}), waiting for the next${trouble}`)
      }
      case 'paid':
        this.#tasks++
        show('tasks', String(this.#tasks))
        this.#pay(made)
        return this.#title()
    }
  }

  #fail(trouble: string): void {
    this.#trouble = trouble
    this.state(trouble)
  }

  #pay({ run, round, amount, receipt }: Earned): void {
    if (this.#shown.has(receipt)) return
    this.#shown.add(receipt)
    this.#total += amount
    show('total', formatCredits(this.#total))
    element('receipts', HTMLElement).prepend(lineOf([run, round, formatCredits(amount), receipt]))
  }

  #title(): void {
    const speed = this.#samplesPerSecond === undefined ? this.#state : `${Math.round(this.#samplesPerSecond)} samples/s`
    document.title = `${speed} · ${this.#tasks} task${this.#tasks === 1 ? '' : 's'} · Lend this GPU`
  }
}

const MODELS = { mlp: 'an MLP', cnn: 'a CNN', transformer: 'a transformer' } as const satisfies Record<
  ReferenceModel,
  string
>

function rounded(value: number): string {
  return Math.round(value).toLocaleString('en')
}

function lineOf(cells: readonly (string | number)[]): HTMLTableRowElement {
  const row = document.createElement('tr')
  for (const text of cells) row.insertCell().textContent = String(text)
  return row
}
