import { type NodeId, parseNodeId } from '#protocol/ids.ts'
import type { PageNodeConfig, RunningPageNode } from '../browser.ts'
import type { Progress } from '../progress.ts'
import { offeredHere } from './adapter.ts'
import { Board } from './board.ts'
import { element, show } from './element.ts'
import { CoordinatorChanged, NotPicked } from './faults.ts'
import { readTerms } from './form.ts'
import { missingHere, type Problem, problemOf } from './problems.ts'

/** The page at `/lend`: a form that starts a node in this browser, and a board of what that node does. */
const board = new Board()
const form = element('terms', HTMLFormElement)
const [lend, pause, stop] = ['lend', 'pause', 'stop'].map((id) => element(id, HTMLButtonElement)) as [
  HTMLButtonElement,
  HTMLButtonElement,
  HTMLButtonElement,
]

let isPaused = false
let running: { readonly node: RunningPageNode; readonly wake: WakeLockSentinel | undefined } | undefined

show('host', location.host)
void offeredHere().then((what) => show('adapter', what))
const missing = missingHere()
if (missing) {
  say(missing)
  lend.disabled = true
} else
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    void begin()
  })
pause.addEventListener('click', () => {
  isPaused = !isPaused
  running?.node.pause(isPaused)
  pause.textContent = isPaused ? 'Go on' : 'Pause'
  board.state(isPaused ? 'paused: nothing is trained, and no new round is taken' : 'waiting for a round')
})
stop.addEventListener('click', () => void end())

async function begin(): Promise<void> {
  try {
    lend.disabled = true
    say(undefined)
    const terms = readTerms()
    board.state('starting: the training thread is loaded and tried out')
    element('work', HTMLElement).hidden = false
    // Before anything of the node's is evaluated: its classes have methods by these names.
    if (!('AsyncDisposableStack' in globalThis)) await import('./disposal.ts')
    const { startPageNode } = await import('../browser.ts')
    const { wasm = '', version = '' } = document.documentElement.dataset
    const node = await startPageNode({
      ...terms,
      url: location.origin,
      coordinator: await servedKey(),
      worker: element('worker', HTMLLinkElement).href,
      wasm,
      linkChanged,
      backendLost: ({ to }) => board.backend(to),
      trained: (samplesPerSecond) => board.speed(samplesPerSecond),
      bench: {
        version,
        report: (capability) => board.measured(capability),
        failed: (cause) => show('measured', `could not be measured: ${problemOf(cause).what}`),
      },
    })
    running = { node, wake: terms.keepsAwake ? await keepAwake() : undefined }
    // Not needed, and kept from filling the disk silently: the browser may ask the person, or say no.
    void navigator.storage?.persist?.().catch(() => undefined)
    form.hidden = true
    isPaused = false
    pause.textContent = 'Pause'
    pause.disabled = stop.disabled = false
    board.open(node)
    pause.focus()
    void follow(node.progress)
  } catch (cause) {
    lend.disabled = false
    board.close('not lending')
    element('work', HTMLElement).hidden = true
    form.hidden = false
    say(problemOf(cause))
    if (cause instanceof NotPicked) cause.field.focus()
  }
}

async function follow(progress: AsyncIterable<Progress>): Promise<void> {
  try {
    for await (const made of progress) board.tell(made)
  } catch (cause) {
    await end()
    say(problemOf(cause))
  }
}

async function end(): Promise<void> {
  pause.disabled = stop.disabled = true
  const ending = running
  running = undefined
  await ending?.wake?.release()
  await ending?.node[Symbol.asyncDispose]()
  board.close('stopped')
  lend.disabled = false
  form.hidden = false
  lend.focus()
}

const linkChanged: PageNodeConfig['linkChanged'] = (state, detail) => {
  if (state !== 'wrong-coordinator') return board.link(state, detail)
  void end()
  say({
    what: `Another key than the pinned one answered: ${detail}.`,
    fix: 'Do not lend before whoever runs the coordinator has told you, by another way than this page, which key is theirs.',
  })
}

/** The coordinator's key, as it says. Who was given the key by its people adds it to the page's address, after a #. */
async function servedKey(): Promise<NodeId> {
  const response = await fetch('/lend/coordinator.json', { cache: 'no-store' })
  const said = (await response.json()) as { readonly coordinator?: string }
  const key = parseNodeId(said.coordinator ?? '')
  if (!key.ok) throw new Error('the coordinator says nothing that is a key')
  const expected = location.hash.slice(1)
  if (expected && expected !== key.value) throw new CoordinatorChanged(expected as NodeId, key.value)
  show('coordinator', key.value)
  return key.value
}

/** Released by the browser when the tab is hidden; training goes on all the same. */
async function keepAwake(): Promise<WakeLockSentinel | undefined> {
  return navigator.wakeLock?.request('screen').catch(() => undefined)
}

function say(problem: Problem | undefined): void {
  show('problem', problem ? `${problem.what} ${problem.fix}`.trim() : '')
}
