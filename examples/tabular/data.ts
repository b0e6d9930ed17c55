import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** `node data.ts [folder] [seed]`: made-up patients of four hospitals, one CSV file each. The same seed, the same patients. */
const [folder = 'data', seed = '1'] = process.argv.slice(2)
const HOSPITALS = 4
const PATIENTS = 400

/** Marsaglia's xorshift, from 0 up to 1. */
let state = (Number(seed) * 2_654_435_761 + 1) >>> 0 || 1
function chance(): number {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  state >>>= 0
  return state / 2 ** 32
}

function patient(hospital: number): string {
  const age = 20 + Math.floor(70 * chance())
  // The hospitals do not see the same patients: each has sicker ones than the one before.
  const pressure = 100 + 10 * hospital + 60 * chance()
  const creatinine = 0.5 + 1.5 * chance()
  const ward = Math.floor(3 * chance())
  const smoker = chance() < 0.3 ? 1 : 0
  const risk = age / 30 + (pressure - 140) / 20 + 2 * creatinine + (ward === 2 ? 1.5 : 0) + smoker - 5.5
  const readmitted = risk + 0.8 * (chance() + chance() - 1) > 0 ? 1 : 0
  // Not everybody's pressure is taken.
  const taken = chance() < 0.1 ? '' : pressure.toFixed(0)
  return [age, taken, creatinine.toFixed(2), ward, smoker, readmitted].join(',')
}

await mkdir(folder, { recursive: true })
for (let hospital = 1; hospital <= HOSPITALS; hospital++) {
  const rows = Array.from({ length: PATIENTS }, () => patient(hospital))
  const table = ['age,pressure,creatinine,ward,smoker,readmitted', ...rows, ''].join('\n')
  await writeFile(join(folder, `hospital-${hospital}.csv`), table)
}
