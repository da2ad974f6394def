/** Percent-decoding as a WSGI server does it: octets, and whatever is no escape stays as it is. */
function decoded(path: string): string {
  return path.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
}

/**
 * The names of a path as Nova sees them: decoded, repeated slashes collapsed, `.` and `..` resolved, no trailing slash.
 * Empty for `/` and all that comes to it.
 * @see nova/api/metadata/base.py InstanceMetadata.lookup, Python's posixpath.normpath
 */
export function pathNames(requestTarget: string): readonly string[] {
  const [target = ''] = requestTarget.split('?', 1)
  const path = target.replace(/^https?:\/\/[^/]*/i, '')
  const names: string[] = []
  for (const name of decoded(path).split('/')) {
    if (name === '..') names.pop()
    else if (name !== '' && name !== '.') names.push(name)
  }
  return names
}
