import type { DataSource } from '#client/data/dataset.ts'
import { describe } from '#client/data/description.ts'
import { DataFault } from '#client/data/fault.ts'
import type { PublicDataset } from '#protocol/dataset.ts'
import { type Arguments, usage } from './arguments.ts'
import { EXIT, Failure } from './failure.ts'

/** What a node is asked to say of its data: nothing, unless whoever runs it says so. */
export async function publishedOf(args: Arguments, data: DataSource): Promise<PublicDataset | null | undefined> {
  const name = args.text('publish-dataset')
  if (args.flag('withdraw-dataset')) {
    if (name === undefined) return null
    throw usage(
      'publish_or_withdraw',
      '--publish-dataset and --withdraw-dataset exclude each other',
      'give one of them',
    )
  }
  if (name === undefined) return undefined
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name))
    throw usage('bad_value', `--publish-dataset is a name of letters, digits, ".", "_" and "-", not ${name}`)
  if (data.kind === 'public')
    throw usage('nothing_to_publish', '--publish-dataset is about data of its own, and --public has none')
  return describe(data, name).catch((cause: unknown) => {
    if (!(cause instanceof DataFault)) throw cause
    throw new Failure(EXIT.data, 'cannot_publish', cause.message, { fix: 'leave --publish-dataset out', cause })
  })
}
