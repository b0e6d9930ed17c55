import { expect, test } from '@jest/globals'
import { chanceOf, pick } from '#sim/chance.ts'
import { type Cell, cells, playCell } from './matrix.ts'

/** In these the coordinator works and waits for nobody. Plain rounds have them as well, and take less time. */
const OWN = ['keys enrolling', 'keys sharing', 'aggregation', 'settlement']
/** Each stage once and with few nodes; test/campaign/matrix.campaign.ts plays all of it, with eight. */
const drawn = cells(4).filter(({ masking, stage }) => masking === 'none' || !OWN.includes(stage))
const stages = [...Map.groupBy(drawn, ({ masking, stage }) => `${masking}: ${stage}`)]

test.each(stages)(
  'nodes that are lost at the beginning of a stage hold up nobody past its deadline (%s)',
  async (name, all) => {
    const cell = pick(chanceOf(1)(name), all) as Cell
    expect(await playCell(cell, 1)).toMatch(/^(closed|too-few-[a-z]+)$/)
  },
)
