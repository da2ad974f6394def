import t from 'tap'
import { documentKind } from '../../../agent-side/compute/document-kind.ts'

t.test('documentKind() sorts what guests request', async (t) => {
  for (const [target, kind] of [
    ['/openstack/latest/meta_data.json', 'meta_data'],
    ['/openstack/2018-08-27/network_data.json', 'network_data'],
    ['/openstack/latest/user_data', 'user_data'],
    ['/openstack/latest/vendor_data.json', 'vendor_data'],
    ['/openstack/latest/vendor_data2.json', 'vendor_data'],
    ['/openstack/2013-04-04/password', 'password'],
    ['/openstack', 'other'],
    ['/openstack/content/0000', 'other'],
    ['/latest/meta-data/instance-id', 'ec2'],
    ['/', 'ec2'],
  ] as const) {
    t.equal(documentKind(target), kind, target)
  }
})
