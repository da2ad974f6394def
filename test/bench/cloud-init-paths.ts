/** What cloud-init asks for in a first boot, in its order, each on a connection of its own: 28 requests. */
export const cloudInitPaths: readonly string[] = [
  // DataSourceOpenStack: once to choose the address, once for the list of versions.
  '/openstack',
  '/openstack',
  ...['meta_data.json', 'user_data', 'vendor_data.json', 'vendor_data2.json'].map(openStack),
  openStack('network_data.json'),
  // The tree of EC2: directories first, then leaves.
  '/latest/meta-data/',
  ...[
    'block-device-mapping/',
    'block-device-mapping/ami',
    'block-device-mapping/root',
    'placement/',
    'placement/availability-zone',
    'public-keys/',
    'public-keys/0/openssh-key',
    'ami-id',
    'ami-launch-index',
    'ami-manifest-path',
    'hostname',
    'instance-action',
    'instance-id',
    'instance-type',
    'local-hostname',
    'local-ipv4',
    'public-hostname',
    'public-ipv4',
    'reservation-id',
    'security-groups',
  ].map((name) => `/latest/meta-data/${name}`),
]

/** The newest version that cloud-init and Nova both know. @see cloudinit/sources/helpers/openstack.py */
function openStack(name: string): string {
  return `/openstack/2018-08-27/${name}`
}
