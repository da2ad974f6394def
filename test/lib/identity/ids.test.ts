import t from 'tap'
import {
  parseInstanceId,
  parseNetworkId,
  parsePortId,
  parseProjectId,
  parseRouterId,
} from '../../../lib/identity/ids.ts'

const parsers = { parseInstanceId, parseNetworkId, parsePortId, parseProjectId, parseRouterId }

const taken = ['83679162-1378-4288-a2d4-70e13ec132aa', 'a', '0', 'net_1.x:y-z', 'a'.repeat(255)]

const refused: unknown[] = [
  '',
  ' ',
  '-a',
  '.a',
  '..',
  '../../etc',
  'a/b',
  'a b',
  'a\n',
  '\na',
  'a\r\nx-instance-id: b',
  'a\0',
  'a,b',
  'a%2f',
  'é',
  'a'.repeat(256),
  undefined,
  null,
  5,
  ['a'],
  { toString: () => 'a' },
]

for (const [name, parse] of Object.entries(parsers)) {
  t.test(`${name}() takes ids as they are and nothing else`, async (t) => {
    for (const text of taken) t.equal(parse(text), text)
    for (const text of refused) t.equal(parse(text), undefined, JSON.stringify(text))
  })
}
