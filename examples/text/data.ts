import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** `node data.ts [folder] [seed]`: made-up notes of four clinics, one CSV file each. The same seed, the same notes. */
const [folder = 'data', seed = '1'] = process.argv.slice(2)
const CLINICS = 4
const NOTES = 300

const URGENT = [
  'severe chest pain',
  'sudden short of breath',
  'fainted today',
  'bleeding and worse',
  'sudden severe headache',
]
const WAITS = ['mild cough', 'rash and itching', 'mild headache', 'fever better', 'cough since week', 'stable']
const BESIDE = ['no fever', 'with cough', 'since today', 'no rash', 'patient is calm', 'came with family']

/** Marsaglia's xorshift, from 0 up to 1. */
let state = (Number(seed) * 2_654_435_761 + 1) >>> 0 || 1
function chance(): number {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  state >>>= 0
  return state / 2 ** 32
}

function oneOf(phrases: readonly string[]): string {
  return phrases[Math.floor(phrases.length * chance())] as string
}

function note(clinic: number): string {
  // The clinics do not see the same patients: each has more who cannot wait than the one before.
  const isUrgent = chance() < 0.2 + 0.1 * clinic
  const said = [oneOf(isUrgent ? URGENT : WAITS), oneOf(BESIDE), oneOf(BESIDE)]
  // Some are judged otherwise than they read.
  const judged = chance() < 0.03 ? !isUrgent : isUrgent
  return `${said.join(' ')},${judged ? 1 : 0}`
}

await mkdir(folder, { recursive: true })
for (let clinic = 1; clinic <= CLINICS; clinic++) {
  const rows = Array.from({ length: NOTES }, () => note(clinic))
  await writeFile(join(folder, `clinic-${clinic}.csv`), ['note,urgent', ...rows, ''].join('\n'))
}
