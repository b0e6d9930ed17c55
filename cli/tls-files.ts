import { type Arguments, usage } from './arguments.ts'

/** The files of a listener's certificate and key: both, or none. @param prefix of the two flags' names */
export function tlsFilesOf(
  args: Arguments,
  prefix: '' | 'share-',
): { readonly certFile: string; readonly keyFile: string } | undefined {
  const [certFile, keyFile] = [args.text(`${prefix}tls-cert`), args.text(`${prefix}tls-key`)]
  if (certFile !== undefined && keyFile !== undefined) return { certFile, keyFile }
  if (certFile === undefined && keyFile === undefined) return undefined
  throw usage('incomplete_tls', 'TLS needs both its files', `--${prefix}tls-cert chain.pem --${prefix}tls-key key.pem`)
}
