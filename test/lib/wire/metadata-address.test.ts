import t from 'tap'
import { isMetadataHost } from '../../../lib/wire/metadata-address.ts'

const own = [
  '169.254.169.254',
  '169.254.169.254:80',
  '[fe80::a9fe:a9fe]',
  '[fe80::a9fe:a9fe%ens3]',
  '[fe80::a9fe:a9fe%25ens3]:80',
  '[FE80::A9FE:A9FE]',
  'instance-data',
  'Instance-Data.:8773',
]
const foreign = [
  '',
  'evil.example',
  '169.254.169.254.evil.example',
  'evil.example:80',
  'x169.254.169.254',
  '169x254.169.254',
  '2852039166',
  '0xa9fea9fe',
  '169.254.169.254@evil.example',
  '169.254.169.254, evil.example',
  'instance-data.evil.example',
  '[::ffff:169.254.169.254]',
  '[fe80::a9fe:a9fe%ens3 x]',
]

t.test('isMetadataHost() takes the names of the service and no other', async (t) => {
  for (const host of own) t.equal(isMetadataHost(host), true, host)
  for (const host of foreign) t.equal(isMetadataHost(host), false, host)
})
