import { stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Conduct, HeldBack } from '#client/conduct.ts'
import type { NodeConfig } from '#client/node.ts'
import { type Arguments, usage } from './arguments.ts'
import type { Output } from './output.ts'

type ConductConfig = Pick<NodeConfig, 'cpuShare' | 'stopFile' | 'stopsOnBattery' | 'conductChanged' | 'switchUnclear'>

/** How much of the machine a node may have, and who holds it back. */
export async function conductOf(args: Arguments, output: Output): Promise<ConductConfig> {
  return {
    cpuShare: shareOf(args.text('cpu-share') ?? '100%'),
    stopFile: await stopFileOf(args),
    stopsOnBattery: args.flag('stop-on-battery'),
    conductChanged: conductTeller(output),
    switchUnclear: (reason) => {
      if (output.json) output.object({ type: 'node.unclear', reason, time: new Date().toISOString() })
      else output.line(`cannot tell  ${reason}`)
    },
  }
}

function shareOf(text: string): number {
  const percent = Number(/^(\d{1,3})%$/.exec(text)?.[1])
  if (percent >= 1 && percent <= 100) return percent / 100
  throw usage('bad_value', `--cpu-share is a share from 1% to 100%, not ${text}`, '--cpu-share 50%')
}

/** A folder that is not there would be a file that can never be: whoever runs to it in an emergency finds no place for it. */
async function stopFileOf(args: Arguments): Promise<string | undefined> {
  const text = args.text('stop-file')
  if (text === undefined) return undefined
  const file = resolve(text)
  const folder = await stat(dirname(file)).catch(() => undefined)
  if (!folder?.isDirectory())
    throw usage('bad_value', `--stop-file ${text}: there is no folder ${dirname(file)}`, 'make the folder first')
  return file
}

type Tidings = { readonly type: string; readonly reason: string; readonly text: string }
const TIDINGS: Readonly<Record<HeldBack, Tidings>> = {
  paused: { type: 'node.paused', reason: 'asked', text: 'paused     no new rounds, and training waits' },
  draining: {
    type: 'node.draining',
    reason: 'asked',
    text: 'draining   no new rounds; it ends after the one it is in',
  },
  'on-battery': { type: 'node.stopped', reason: 'on-battery', text: 'stopped    the machine runs on its battery' },
  stopped: { type: 'node.stopped', reason: 'stop-file', text: 'stopped    the stop file is there' },
}

/** Only a change is news, and that nothing holds a node back is none at its start. */
function conductTeller(output: Output): (conduct: Conduct) => void {
  let last: HeldBack | undefined
  return ({ heldBack }) => {
    if (heldBack === last) return
    last = heldBack
    const { type, text, ...more } = heldBack ? TIDINGS[heldBack] : { type: 'node.resumed', text: 'resumed' }
    if (output.json) output.object({ type, ...more, time: new Date().toISOString() })
    else if (!output.quiet) output.line(text)
  }
}
