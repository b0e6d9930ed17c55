import type { Call } from './command.ts'
import { EXIT } from './failure.ts'
import { packageOf } from './package.ts'

/** `consilium version` */
export async function execute({ output }: Call): Promise<number> {
  const { version } = packageOf()
  if (output.json)
    output.object({ version, node: process.versions.node, platform: process.platform, arch: process.arch })
  else output.line(`consilium ${version}  node ${process.versions.node}  ${process.platform}-${process.arch}`)
  return EXIT.ok
}
