import t from 'tap'
import { parseTransportUrl } from '../../../../../agent-side/ports/neutron-rpc/amqp/transport-url.ts'

t.test('parseTransportUrl() reads what OpenStack writes', async (t) => {
  const one = { username: 'neutron', password: 'pw' }
  const cases = [
    ['rabbit://neutron:pw@127.0.0.1:5672/', [{ host: '127.0.0.1', tcpPort: 5672, ...one }], '/'],
    ['rabbit://neutron:pw@rabbit', [{ host: 'rabbit', ...one }], '/'],
    ['rabbit://neutron:pw@rabbit//', [{ host: 'rabbit', ...one }], '/'],
    ['rabbit://neutron:pw@rabbit/neutron', [{ host: 'rabbit', ...one }], 'neutron'],
    ['rabbit://neutron:pw@rabbit/%2Fa%20b', [{ host: 'rabbit', ...one }], '/a b'],
    ['kombu+rabbit://neutron:pw@rabbit:/v', [{ host: 'rabbit', ...one }], 'v'],
    ['rabbit://neutron:pw@[fd00::5]:5673/v', [{ host: 'fd00::5', tcpPort: 5673, ...one }], 'v'],
    ['rabbit://neutron:pw@[::1]/v', [{ host: '::1', ...one }], 'v'],
    [
      'rabbit://neutron:p%40w%3A%2F%3F%23@a:1/v',
      [{ host: 'a', tcpPort: 1, username: 'neutron', password: 'p@w:/?#' }],
      'v',
    ],
    [
      'rabbit://neutron:p@w@a:1/v',
      [{ host: 'a', tcpPort: 1, username: 'neutron', password: 'p@w' }],
      'v',
    ],
    [
      'rabbit://neutron:pw@a:1,other:secret@b:2/v',
      [
        { host: 'a', tcpPort: 1, ...one },
        { host: 'b', tcpPort: 2, username: 'other', password: 'secret' },
      ],
      'v',
    ],
    [
      'rabbit://neutron:pw@a:1,b:2,[::1]:3',
      [
        { host: 'a', tcpPort: 1, ...one },
        { host: 'b', tcpPort: 2, ...one },
        { host: '::1', tcpPort: 3, ...one },
      ],
      '/',
    ],
    ['rabbit://rabbit/', [{ host: 'rabbit', username: 'guest', password: 'guest' }], '/'],
    ['rabbit://neutron@rabbit/', [{ host: 'rabbit', username: 'neutron', password: '' }], '/'],
  ] as const
  for (const [text, brokers, virtualHost] of cases) {
    const url = parseTransportUrl(text)
    t.strictSame(url.brokers, brokers, text)
    t.equal(url.virtualHost, virtualHost, text)
  }
})

t.test('parseTransportUrl() gives the options of the query', async (t) => {
  const url = parseTransportUrl('rabbit://u:p@h:5671/?ssl=true&ssl_ca_file=/etc/ca%20x.pem')
  t.strictSame(
    [...url.options],
    [
      ['ssl', 'true'],
      ['ssl_ca_file', '/etc/ca x.pem'],
    ],
  )
})

t.test('parseTransportUrl() refuses other text and repeats no password', async (t) => {
  const broken = [
    '',
    'rabbit',
    'rabbit:///v',
    'http://u:hunter2@h/',
    'amqps+zmq://u:hunter2@h/',
    'rabbit://u:hunter2@h:99999/',
    'rabbit://u:hunter2@h:0/',
    'rabbit://u:hunter2@h:x/',
    'rabbit://u:hunter2@[::1/',
    'rabbit://u:hunter2@/',
    'rabbit://u:hunter2/x@h/',
    'rabbit://u:hunter2#x@h/',
    'rabbit://u:hunter2?x@h/',
    'amqps://u:hunter2@h/',
    'rabbit://u:hunter2@h o/',
  ]
  for (const text of broken) {
    t.throws(() => parseTransportUrl(text), { name: 'SyntaxError' }, text)
    try {
      parseTransportUrl(text)
    } catch (thrown) {
      t.notMatch(String(thrown), /hunter2/, text)
    }
  }
})
