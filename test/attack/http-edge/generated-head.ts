/** Heads of requests as arbitraries: mostly right, so that what is wrong stands alone often enough, and then damaged. */
import * as fc from 'fast-check'

const rarely = (usual: string, others: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.oneof({ weight: 24, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: others })

const octet = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code))
const octets = fc.array(octet, { maxLength: 12 }).map((all) => all.join(''))
const tokenCharacter = fc.constantFrom(...Array.from(`!#$%&'*+-.^_\`|~0189azAZ`))
const token = fc.array(tokenCharacter, { minLength: 1, maxLength: 10 }).map((all) => all.join(''))

const method = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom('GET', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS'),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('CONNECT', 'TRACE', 'get', 'PRI', 'SOURCE', 'BREW', 'G\u0000T', ''),
  },
  { weight: 1, arbitrary: token },
)

const pathCharacter = fc.constantFrom(...Array.from(`/?.~!$&'()*+,;=:@%-_09azAZ`))
const oddCharacter = fc.constantFrom(...Array.from('#[]{}|\\^`"<>\u007f\u0080\u00e9\u0000\t '))
const path = fc
  .array(
    fc.oneof({ weight: 12, arbitrary: pathCharacter }, { weight: 1, arbitrary: oddCharacter }),
    {
      maxLength: 20,
    },
  )
  .map((all) => `/${all.join('')}`)
const target = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.constantFrom('/', '/openstack/latest/meta_data.json', '/latest/meta-data/'),
  },
  { weight: 4, arbitrary: path },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '*',
      'http://169.254.169.254/latest',
      'http://169.254.169.254:80/latest?x',
      'http://[fe80::a9fe:a9fe]/latest',
      'HTTP://169.254.169.254/',
      'http://169.254.169.254',
      'http://other/latest',
      'http://169.254.169.254@other/',
      'http://169.254.169.254#@other/',
      'http://169.254.169.254\\@other/',
      'https://169.254.169.254/',
      'other:80',
      '//other/x',
      '',
    ),
  },
)

const version = rarely(
  'HTTP/1.1',
  fc.constantFrom(
    'HTTP/1.0',
    'HTTP/1.0',
    'HTTP/1.2',
    'HTTP/2.0',
    'HTTP/0.9',
    'http/1.1',
    'HTTP/01.1',
    'HTTP/1.1 ',
    '',
  ),
)
const space = rarely(' ', fc.constantFrom('  ', '\t', '', '\u00a0', '\u000b', ' \r'))
const lineEnd = rarely(
  '\r\n',
  fc.constantFrom('\n', '\r', ' \r\n', '\t\r\n', '\r\r\n', '\u0000\r\n', '\r\n ', '\r\n\t'),
)

const name = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.constantFrom(
      'Host',
      'host',
      'Accept',
      'User-Agent',
      'Connection',
      'X-Forwarded-For',
      'X-Instance-ID',
      'Keep-Alive',
      'Content-Length',
      'content-length',
      'Transfer-Encoding',
      'TE',
      'Trailer',
      'Expect',
      'Upgrade',
      'Proxy-Connection',
    ),
  },
  { weight: 3, arbitrary: token },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'Content_Length',
      'Content-Length ',
      ' Host',
      'X\u00e9',
      'X\tY',
      '',
      ':',
      '__proto__',
      'Transfer-\u0000Encoding',
    ),
  },
)
const value = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.constantFrom(
      'x',
      '',
      '0',
      '3',
      '5',
      'chunked',
      'close',
      'Close',
      'keep-alive',
      'keep-alive, close',
      'upgrade',
      'timeout=5',
      '100-continue',
      'a:b',
      'a\tb',
      'caf\u00e9',
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      '+5',
      '-1',
      '5, 5',
      '5 ',
      '0x5',
      '5\t',
      '99999999999999999999999',
      'identity',
      'gzip, chunked',
      'chunked, gzip',
      ',chunked',
      'chunked ',
      '\u000bchunked',
      'xchunked',
      'a\u0000b',
      'a\u0001b',
      'a\u007fb',
      'a\rb',
      'a\nb',
      'a\r\n folded',
      'a\r\nHost: y',
    ),
  },
  { weight: 1, arbitrary: octets },
)
const separator = rarely(
  ': ',
  fc.constantFrom(':', ':  ', ':\t', ' : ', '', ' ', ':\r\n ', ': \u00a0', ':\u000b'),
)
const fieldLine = fc.tuple(name, separator, value, lineEnd).map((parts) => parts.join(''))

/** A change of bytes anywhere, as mutation of recorded requests makes them. */
const damage = fc.record({
  at: fc.nat(4_000),
  cut: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(5) }),
  added: fc.oneof(
    octets,
    fc.constantFrom('\r\n', '\n', '\r', '\r\n\r\n', '\n\n', ' ', '\t', ':', '\u0000'),
  ),
})

/** The text of a head, as Latin-1. */
export const generatedHead: fc.Arbitrary<string> = fc
  .record({
    before: rarely('', fc.constantFrom('\r\n', '\n', ' ', '\r\n\r\n')),
    start: fc.tuple(method, space, target, space, version, lineEnd).map((parts) => parts.join('')),
    host: rarely(
      'Host: h\r\n',
      fc.constantFrom('', 'Host: a\r\nHost: b\r\n', 'Host:\r\n', 'host : a\r\n'),
    ),
    fields: fc.array(fieldLine, { maxLength: 5 }),
    end: lineEnd,
    damages: fc.array(damage, { maxLength: 3, size: 'small' }),
    isDamaged: fc.integer({ min: 0, max: 3 }).map((number) => number === 0),
  })
  .map(({ before, start, host, fields, end, damages, isDamaged }) =>
    (isDamaged ? damages : []).reduce(
      (text, { at, cut, added }) => {
        const place = at % (text.length + 1)
        return text.slice(0, place) + added + text.slice(place + cut)
      },
      `${before}${start}${host}${fields.join('')}${end}`,
    ),
  )
