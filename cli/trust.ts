/** What helps where a certificate is why nobody could be spoken with; undefined where it is something else. */
export function trustFix(reason: string): string | undefined {
  if (!/certificate/i.test(reason)) return undefined
  if (/expired|altnames|not yet valid/i.test(reason))
    return 'whoever runs the coordinator gives it a certificate that is for this name and for today'
  return 'where its authority is one of your own, name that: NODE_EXTRA_CA_CERTS=<file of its root, PEM>'
}
