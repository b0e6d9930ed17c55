import { type Capability, capabilitySchema } from '#protocol/capability.ts'
import { readFrom, write } from '#storage/indexed/database.ts'
import { isOfSame, type OwnBench } from '../measuring.ts'

/** What a page has measured of itself: lost, it is measured again. */
export function benchIn(database: IDBDatabase): Pick<OwnBench, 'kept' | 'keep'> {
  return {
    async kept(traits) {
      const known = await readFrom<unknown>(database, 'settings', (settings) => settings.get('bench'))
      const read = capabilitySchema.safeDecode(known as Capability)
      return read.success && isOfSame(read.data, traits) ? read.data.speeds : []
    },
    async keep(capability) {
      await write(database, ['settings'], async (open) => {
        open('settings').put(capability, 'bench')
      })
    },
  }
}
