import t from 'tap'
import { documentClassesOf, isTokenTarget } from '../../../lib/shield/document-class.ts'

t.test('documentClassesOf() sorts what guests request', async (t) => {
  for (const [target, ...classes] of [
    ['/openstack/latest/meta_data.json', 'identity'],
    ['/latest/meta-data/placement/availability-zone', 'identity'],
    ['/2009-04-04/meta-data', 'identity'],
    ['/openstack/latest/user_data', 'user_data'],
    ['/latest/user-data', 'user_data'],
    ['/openstack/latest/vendor_data.json', 'user_data'],
    ['/openstack/2018-08-27/vendor_data2.json', 'user_data'],
    ['/openstack/content/0000', 'user_data'],
    ['/openstack/latest/password', 'password'],
    ['/openstack/latest/network_data.json', 'other'],
    ['/openstack', 'other'],
    ['/', 'other'],
  ] as const) {
    t.strictSame(documentClassesOf(target), classes, target)
  }
})

t.test('documentClassesOf() misses no document behind another spelling', async (t) => {
  for (const target of [
    '//openstack//latest//user_data',
    '/openstack/latest/./user_data/',
    '/openstack/latest/x/../user_data',
    '/openstack/latest/%75ser_data',
    '/openstack/latest/user%5Fdata',
    '/openstack/latest/user%5fdata?x=y',
    '/openstack/latest/user%255fdata',
    '/openstack/latest/%2e%2e/latest/user%5Fdata%2F',
    '/ec2/latest/user%2Ddata',
    '/openstack%2Flatest%2Fuser_data',
    '/openstack/latest/USER_DATA',
    '/openstack/latest/user_data%00',
    '/openstack/latest/%zz/../user_data',
  ]) {
    t.ok(documentClassesOf(target).includes('user_data'), target)
  }
})

t.test('documentClassesOf() names each class that a target may reach', async (t) => {
  t.strictSame(
    new Set(documentClassesOf('/openstack/latest/password/../user_data')),
    new Set(['password', 'user_data']),
  )
  t.strictSame(
    documentClassesOf(`/${'%25'.repeat(5_000)}`),
    ['other'],
    'in no more steps than so many',
  )
})

t.test('isTokenTarget() is exact', async (t) => {
  t.equal(isTokenTarget('/latest/api/token'), true)
  t.equal(isTokenTarget('/latest/api/token?x'), true)
  for (const target of [
    '/latest/api/token/',
    '//latest/api/token',
    '/latest/api/tokens',
    '/openstack/latest',
  ]) {
    t.equal(isTokenTarget(target), false, target)
  }
})
