/** What sort of document a request wants of compute; sorts differ in what they cost to make. */
export type DocumentKind =
  'meta_data' | 'network_data' | 'user_data' | 'vendor_data' | 'password' | 'ec2' | 'other'

/**
 * Sorts a raw request-target. A rough guess that costs nothing: good for expectations about time, not for deciding what
 * a site may have.
 * @see nova/api/metadata/base.py, the names of files in the OpenStack tree
 */
export function documentKind(target: string): DocumentKind {
  if (target.endsWith('/meta_data.json')) return 'meta_data'
  if (target.endsWith('/network_data.json')) return 'network_data'
  if (target.endsWith('/user_data')) return 'user_data'
  // Dynamic vendor data queries other services, each time.
  if (target.endsWith('/vendor_data2.json') || target.endsWith('/vendor_data.json')) {
    return 'vendor_data'
  }
  if (target.endsWith('/password')) return 'password'
  return target.startsWith('/openstack') ? 'other' : 'ec2'
}
