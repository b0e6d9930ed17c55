import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { uint32Stream } from '#aggregation/rng.ts'
import { sha256 } from '#crypto'
import { utf8 } from '#protocol/bytes.ts'

/** Rows of each made-up hospital: few, so that a round takes no time. */
const ROWS = 40

/** CSV files of made-up hospitals in a folder: two measures, a category, and a diagnosis that follows from them, nearly. */
export async function writeHospitals(folder: string, count: number): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (let hospital = 1; hospital <= count; hospital++) {
    const word = uint32Stream(sha256(utf8(`hospital ${hospital}`)))
    const unit = () => word() / 2 ** 32
    const rows = Array.from({ length: ROWS }, () => {
      const [age, dose, kind] = [20 + Math.floor(60 * unit()), (10 * unit()).toFixed(2), Math.floor(3 * unit())]
      const sick = age / 80 + Number(dose) / 10 + 0.3 * unit() > 1.15 ? 1 : 0
      return `${age},${dose},${kind},${sick}\n`
    })
    await writeFile(join(folder, `hospital-${hospital}.csv`), `age,dose,kind,sick\n${rows.join('')}`)
  }
}
