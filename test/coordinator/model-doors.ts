import { Curves } from '#coordinator/curves.ts'
import { Labels } from '#coordinator/labels.ts'
import { Tasks } from '#coordinator/tasks.ts'
import { Verifications } from '#coordinator/verifications.ts'
import { openRecordSettlement } from '#payments/settlements/record.ts'
import type { Clock, EventLog } from '#protocol/ports.ts'
import { openMemoryBlobs } from '#storage/blobs/memory.ts'
import { verifyRecord } from '#verify/verify.ts'
import { node } from './fixture.ts'

/** What the API has of tasks, models and money, over a log. */
export function modelDoors(doors: { readonly log: EventLog; readonly clock: Clock }) {
  const coordinator = node(0)
  return {
    ...{ coordinator, curves: new Curves(doors.log), tasks: new Tasks(doors), labels: new Labels(doors) },
    earned: openRecordSettlement(doors.log).earned,
    verifications: new Verifications({ ...doors, blobs: openMemoryBlobs(), coordinator, verify: verifyRecord }),
  }
}
